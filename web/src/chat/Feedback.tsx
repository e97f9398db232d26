import { ThumbsDown, ThumbsUp } from 'lucide-react'
import { useId, useState } from 'react'
import { useTexts } from '../i18n/texts'
import type { Schemas } from '../lib/api'
import buttons from './Button.module.css'
import styles from './Message.module.css'

type Given = Schemas['Feedback'] | null

/** Thumbs up or down for a reply; after a thumb down, what was wrong can be said. */
export function Feedback({ given, onGive }: { given: Given; onGive: (feedback: Given) => void }) {
  const texts = useTexts()
  const id = useId()
  const [comment, setComment] = useState<string | null>(null)
  const rate = (rating: 'up' | 'down') => {
    const isTakenBack = given?.rating === rating
    onGive(isTakenBack ? null : { rating, comment: null })
    setComment(rating === 'down' && !isTakenBack ? '' : null)
  }
  return (
    <>
      <button
        type="button"
        className={buttons.icon}
        aria-pressed={given?.rating === 'up'}
        aria-label={texts.chat.good}
        title={texts.chat.good}
        onClick={() => rate('up')}
      >
        <ThumbsUp aria-hidden size={16} />
      </button>
      <button
        type="button"
        className={buttons.icon}
        aria-pressed={given?.rating === 'down'}
        aria-label={texts.chat.bad}
        title={texts.chat.bad}
        onClick={() => rate('down')}
      >
        <ThumbsDown aria-hidden size={16} />
      </button>
      {comment === null ? null : (
        <form
          className={styles.comment}
          onSubmit={(event) => {
            event.preventDefault()
            onGive({ rating: 'down', comment: comment.trim() || null })
            setComment(null)
          }}
          onKeyDown={(event) => event.key === 'Escape' && setComment(null)}
        >
          <label htmlFor={id}>{texts.chat.whatWasWrong}</label>
          <input id={id} value={comment} maxLength={2000} onChange={(event) => setComment(event.target.value)} />
          <button type="submit" className={buttons.text}>
            {texts.chat.sendComment}
          </button>
        </form>
      )}
    </>
  )
}
