import { createContext, useContext } from 'react'
import { useTexts } from '../../i18n/texts'
import styles from './Markdown.module.css'

/** What the numbers of a reply lead to. */
export interface Citations {
  titles: readonly string[]
  /** Shows and focuses the card of a source. */
  show: (number: number) => void
}

export const CitationsContext = createContext<Citations>({ titles: [], show: () => undefined })

/** The number of a source in the text; it leads to the source's card. */
export function Citation({ number }: { number: number }) {
  const texts = useTexts()
  const { titles, show } = useContext(CitationsContext)
  const title = titles[number - 1] ?? ''
  return (
    <button
      type="button"
      className={styles.citation}
      onClick={() => show(number)}
      aria-label={texts.chat.sourceNumber(number, title)}
      title={title}
    >
      {number}
    </button>
  )
}
