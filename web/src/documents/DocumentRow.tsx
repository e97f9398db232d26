import { CircleAlert, FileCheck, FileClock, Trash2 } from 'lucide-react'
import { useLanguage } from '../i18n/texts'
import { useDeletions } from '../lib/deletions'
import { ago } from '../lib/format'
import { useNow } from '../lib/now'
import { IconButton } from '../ui/Button'
import { ProgressBar } from '../ui/ProgressBar'
import styles from './DocumentRow.module.css'
import { passFocus } from './passFocus'
import type { Document } from './useDocuments'

const ICONS = { pending: FileClock, indexing: FileClock, ready: FileCheck, failed: CircleAlert }

/** The path of a document in the API. */
export function pathOf(id: string): string {
  return `/v1/documents/${id}`
}

/** A document: how far it is, or why it failed. */
export function DocumentRow({ document }: { document: Document }) {
  const { texts, language } = useLanguage()
  const { remove } = useDeletions()
  const now = useNow(60_000)
  const { status, passages, indexed, pages, pages_without_text: without } = document
  const Icon = ICONS[status]
  const facts = [
    status === 'ready' && texts.documents.ready(passages),
    pages && texts.documents.pages(pages),
    texts.documents.added(ago(document.created_at, now, language)),
  ].filter(Boolean)
  return (
    <li className={styles.row}>
      <Icon size={20} aria-hidden="true" className={`${styles.icon} ${styles[status]}`} />
      <div className={styles.text}>
        <p className={styles.title} dir="auto">
          {document.title}
        </p>
        {status === 'pending' && <p className={styles.facts}>{texts.documents.pending}</p>}
        {status === 'indexing' && (
          <ProgressBar label={texts.documents.indexing(indexed, passages)} value={indexed} most={passages} />
        )}
        {status === 'failed' && (
          <p className={styles.error}>
            {texts.documents.failed}
            {document.error && <span lang={language === 'en' ? undefined : 'en'}>: {document.error}</span>}
          </p>
        )}
        {(status === 'ready' || status === 'failed') && <p className={styles.facts}>{facts.join(' · ')}</p>}
        {status === 'ready' && Boolean(without) && (
          <p className={styles.warn}>{texts.documents.withoutText(without ?? 0)}</p>
        )}
      </div>
      <IconButton
        label={texts.documents.delete(document.title)}
        onClick={(event) => {
          passFocus(event.currentTarget)
          remove(pathOf(document.id), texts.documents.deleted(document.title))
        }}
      >
        <Trash2 size={18} aria-hidden="true" />
      </IconButton>
    </li>
  )
}
