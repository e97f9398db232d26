import { CircleAlert, Info, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import styles from './Notice.module.css'

type Tone = 'info' | 'warn' | 'danger'

const ICONS = { info: Info, warn: TriangleAlert, danger: CircleAlert }

interface NoticeProps {
  tone: Tone
  title?: string
  children?: ReactNode
  /** Buttons or links, after the text. */
  actions?: ReactNode
}

/** A message in the flow of the page. One of tone `danger` is read out at once. */
export function Notice({ tone, title, children, actions }: NoticeProps) {
  const Icon = ICONS[tone]
  return (
    <div className={`${styles.notice} ${styles[tone]}`} role={tone === 'danger' ? 'alert' : 'status'}>
      <Icon size={18} className={styles.icon} aria-hidden="true" />
      <div className={styles.text}>
        {title && <p className={styles.title}>{title}</p>}
        {children}
        {actions && <div className={styles.actions}>{actions}</div>}
      </div>
    </div>
  )
}
