import { CloudOff, RefreshCw, Timer, Wifi } from 'lucide-react'
import { useTexts } from '../i18n/texts'
import styles from './ConnectionBanner.module.css'
import { useConnection } from './connection'

const ICONS = { offline: CloudOff, back: Wifi, slow: Timer, draining: RefreshCw }

/** Says how the connection is while it is not as it should be. The place is always there, so that it is read out. */
export function ConnectionBanner() {
  const texts = useTexts()
  const connection = useConnection()
  const Icon = connection === 'online' ? null : ICONS[connection]
  return (
    <div role="status" className={styles.place}>
      {Icon && connection !== 'online' && (
        <p className={`${styles.banner} ${styles[connection]}`}>
          <Icon size={16} aria-hidden="true" />
          {texts.connection[connection]}
        </p>
      )}
    </div>
  )
}
