import type { ReactNode } from 'react'
import styles from './EmptyState.module.css'

/** What a place says that has nothing to show yet. */
export function EmptyState({ title, text, children }: { title?: string; text: string; children?: ReactNode }) {
  return (
    <div className={styles.empty}>
      {title && <p className={styles.title}>{title}</p>}
      <p>{text}</p>
      {children}
    </div>
  )
}
