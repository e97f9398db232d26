import { FileText } from 'lucide-react'
import { useId } from 'react'
import { useTexts } from '../i18n/texts'
import styles from './Message.module.css'
import type { Source } from './messages'

/** The passages that a reply was given, as cards with the numbers that its text cites. */
export function Sources({
  sources,
  open,
  onOpen,
}: {
  sources: readonly Source[]
  /** The number of the card that shows its passage; null: none. */
  open: number | null
  onOpen: (number: number | null) => void
}) {
  const texts = useTexts()
  const id = useId()
  const shown = open === null ? undefined : sources[open - 1]
  return (
    <section className={styles.sources} aria-label={texts.chat.sources(sources.length)}>
      <ol>
        {sources.map((source, index) => (
          <li key={source.id}>
            <button
              type="button"
              aria-expanded={open === index + 1}
              aria-controls={open === index + 1 ? id : undefined}
              onClick={() => onOpen(open === index + 1 ? null : index + 1)}
            >
              <b>{index + 1}</b>
              <FileText aria-hidden size={14} />
              <span dir="auto">{source.title}</span>
            </button>
          </li>
        ))}
      </ol>
      {shown ? (
        <blockquote id={id} tabIndex={-1} ref={(passage) => passage?.scrollIntoView?.({ block: 'nearest' })}>
          <cite dir="auto">{shown.title}</cite>
          <p dir="auto">{shown.excerpt}</p>
        </blockquote>
      ) : null}
    </section>
  )
}
