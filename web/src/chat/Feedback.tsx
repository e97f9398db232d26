import { ThumbsDown, ThumbsUp } from 'lucide-react'
import { useId, useRef, useState } from 'react'
import { useTexts } from '../i18n/texts'
import { isComposing } from '../lib/keys'
import { isPointerFine } from '../lib/pointer'
import { useUser } from '../lib/session'
import { Button, IconButton } from '../ui/Button'
import styles from './Message.module.css'
import { useDraft } from './useDraft'
import type { Given } from './useFeedback'

/** Thumbs up or down for a reply; after a thumb down, what was wrong can be said. */
export function Feedback({
  messageId,
  given,
  onGive,
}: {
  messageId: string
  given: Given
  onGive: (feedback: Given) => void
}) {
  const texts = useTexts()
  const id = useId()
  // a reply that is scrolled away leaves the page, and what was written comes back with it
  const [draft, keepDraft] = useDraft(useUser().id, `comment.${messageId}`)
  const [comment, setComment] = useState<string | null>(draft || null)
  const isAsked = useRef(false)
  const bad = useRef<HTMLButtonElement>(null)
  const write = (next: string | null) => {
    setComment(next)
    keepDraft(next ?? '')
  }
  const close = () => {
    write(null)
    bad.current?.focus()
  }
  const rate = (rating: 'up' | 'down') => {
    const isTakenBack = given?.rating === rating
    onGive(isTakenBack ? null : { rating, comment: null })
    isAsked.current = true
    write(rating === 'down' && !isTakenBack ? '' : null)
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
            autoFocus={isAsked.current && isPointerFine()}
            value={comment}
            maxLength={2000}
            onChange={(event) => write(event.target.value)}
          />
          <Button type="submit">{texts.chat.sendComment}</Button>
        </form>
      )}
    </>
  )
}
