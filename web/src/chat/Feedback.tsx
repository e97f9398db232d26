import { ThumbsDown, ThumbsUp } from 'lucide-react'
import { useId, useRef, useState } from 'react'
import { useTexts } from '../i18n/texts'
import { isComposing } from '../lib/keys'
import { isPointerFine } from '../lib/pointer'
import { Button, IconButton } from '../ui/Button'
import styles from './Message.module.css'
import type { Given } from './useFeedback'

/** Thumbs up or down for a reply; after a thumb down, what was wrong can be said. */
export function Feedback({ given, onGive }: { given: Given; onGive: (feedback: Given) => void }) {
  const texts = useTexts()
  const id = useId()
  const [comment, setComment] = useState<string | null>(null)
  const bad = useRef<HTMLButtonElement>(null)
  const close = () => {
    setComment(null)
    bad.current?.focus()
  }
  const rate = (rating: 'up' | 'down') => {
    const isTakenBack = given?.rating === rating
    onGive(isTakenBack ? null : { rating, comment: null })
    setComment(rating === 'down' && !isTakenBack ? '' : null)
  }
  return (
    <>
      <IconButton aria-pressed={given?.rating === 'up'} label={texts.chat.good} onClick={() => rate('up')}>
        <ThumbsUp aria-hidden size={16} />
      </IconButton>
      <IconButton ref={bad} aria-pressed={given?.rating === 'down'} label={texts.chat.bad} onClick={() => rate('down')}>
        <ThumbsDown aria-hidden size={16} />
      </IconButton>
      {comment === null ? null : (
        <form
          className={styles.comment}
          onSubmit={(event) => {
            event.preventDefault()
            onGive({ rating: 'down', comment: comment.trim() || null })
            close()
          }}
          onKeyDown={(event) => event.key === 'Escape' && !isComposing(event) && close()}
        >
          <label htmlFor={id}>{texts.chat.whatWasWrong}</label>
          <input
            id={id}
            // biome-ignore lint/a11y/noAutofocus: it is what the click has asked for
            autoFocus={isPointerFine()}
            value={comment}
            maxLength={2000}
            onChange={(event) => setComment(event.target.value)}
          />
          <Button type="submit">{texts.chat.sendComment}</Button>
        </form>
      )}
    </>
  )
}
