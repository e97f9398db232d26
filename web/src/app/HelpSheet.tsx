import { useTexts } from '../i18n/texts'
import { Dialog } from '../ui/Dialog'
import styles from './HelpSheet.module.css'
import { SHORTCUTS } from './shortcuts'

/** All keys, by where they work. */
export function HelpSheet({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { shortcuts } = useTexts()
  return (
    <Dialog open={open} onClose={onClose} title={shortcuts.title}>
      {(['anywhere', 'inList', 'inComposer'] as const).map((group) => (
        <section key={group} className={styles.group}>
          <h3 className={styles.heading}>{shortcuts[group]}</h3>
          <dl className={styles.keys}>
            {SHORTCUTS.filter((one) => one.group === group).map((one) => (
              <div key={one.does} className={styles.row}>
                <dt>{shortcuts[one.does]}</dt>
                <dd className={styles.combination}>
                  {one.keys.map((key) => (
                    <kbd key={key} className={styles.key}>
                      {key}
                    </kbd>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  )
}
