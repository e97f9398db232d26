import { useId } from 'react'
import styles from './ProgressBar.module.css'

/** How far something is. Without `value`, that it is under way. */
export function ProgressBar({ label, value, most = 1 }: { label: string; value?: number; most?: number }) {
  const id = useId()
  return (
    <div className={styles.progress}>
      <span id={id} className={styles.label}>
        {label}
      </span>
      <progress className={styles.bar} aria-labelledby={id} value={value} max={Math.max(1, most)} />
    </div>
  )
}
