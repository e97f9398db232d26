import { FileText } from 'lucide-react'
import { useEffect, useId, useRef } from 'react'
import { useTexts } from '../i18n/texts'
import styles from './Message.module.css'
import type { Source } from './messages'

/** The card that shows its passage. It is another object each time that it is asked for. */
export interface OpenSource {
  number: number
  /** Whether a number in the text has asked for it: then the focus goes to the passage. */
  isCited: boolean
}

/** The passages that a reply was given, as cards with the numbers that its text cites. */
export function Sources({
  sources,
  open,
  onOpen,
}: {
  sources: readonly Source[]
  /** Null: none. */
  open: OpenSource | null
  onOpen: (open: OpenSource | null) => void
}) {
  const texts = useTexts()
  const id = useId()
  const shown = open === null ? undefined : sources[open.number - 1]
  const passage = useRef<HTMLQuoteElement>(null)
  useEffect(() => {
    if (!open) return
    passage.current?.scrollIntoView({ block: 'nearest' })
    if (open.isCited) passage.current?.focus({ preventScroll: true })
  }, [open])
  return (
    <section className={styles.sources} aria-label={texts.chat.sources(sources.length)}>
      <ol>
        {sources.map((source, index) => (
          <li key={source.id}>
            <button
              type="button"
              aria-expanded={open?.number === index + 1}
              aria-controls={open?.number === index + 1 ? id : undefined}
              onClick={() => onOpen(open?.number === index + 1 ? null : { number: index + 1, isCited: false })}
            >
              <b>{index + 1}</b>
              <FileText aria-hidden size={14} />
              <span dir="auto">{source.title}</span>
            </button>
          </li>
        ))}
      </ol>
      {shown ? (
        <blockquote ref={passage} id={id} tabIndex={-1}>
          <cite dir="auto">{shown.title}</cite>
          <p dir="auto">{shown.excerpt}</p>
        </blockquote>
      ) : null}
    </section>
  )
}
