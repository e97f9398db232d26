import { useTexts } from '../i18n/texts'
import styles from './Meter.module.css'

interface MeterProps {
  label: string
  left: number
  all: number
  show: (value: number) => string
  /** Seconds until more of it is there. */
  more?: number
}

/** The share that is left below which it is said that little is. */
const LOW = 0.1

/** What is left of a limit. Says it in words too, before it hurts. */
export function Meter({ label, left, all, show, more }: MeterProps) {
  const { account } = useTexts()
  const share = all ? left / all : 0
  const warning = left <= 0 ? account.used : share < LOW ? account.low : null
  return (
    <div className={styles.meter}>
      <dt className={styles.label}>{label}</dt>
      <dd className={styles.value}>
        {account.left(show(left), show(all))}
        {warning && <span className={styles.warning}>{warning}</span>}
        {warning && more ? <span className={styles.more}>{account.fullIn(more)}</span> : null}
        <meter className={styles.bar} min={0} max={all || 1} low={all * LOW} value={left} aria-label={label} />
      </dd>
    </div>
  )
}
