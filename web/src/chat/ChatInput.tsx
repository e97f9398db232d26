import { ArrowUp, Square } from 'lucide-react'
import { memo, type ReactNode, type Ref, useCallback, useEffect, useImperativeHandle, useRef } from 'react'
import { useTexts } from '../i18n/texts'
import { isPointerFine } from '../lib/pointer'
import styles from './ChatInput.module.css'
import { GrowingText } from './GrowingText'
import { useDraft } from './useDraft'

/** What others may do with the composer. */
export interface Composer {
  /** Empties it, if this text is what it holds: it was sent from elsewhere. */
  take: (text: string) => void
  /** Puts a text into it, if it is empty. */
  give: (text: string) => void
  /** Gives it the focus, of which what was used has gone; not where that brings a keyboard over the page. */
  focus: () => void
}

/** Where messages are written. What is written survives a reload, an expired session, and a refusal. */
export const ChatInput = memo(function ChatInput({
  userId,
  place,
  isBusy,
  returned,
  onSend,
  onStop,
  children,
  ref,
}: {
  userId: string
  /** What the draft belongs to: a conversation's id, or `new`. */
  place: string
  /** Whether a reply is being written: it can be stopped, and nothing is sent until then. */
  isBusy: boolean
  /** A message that was refused: it comes back, if nothing new was written. */
  returned: string | null
  onSend: (text: string) => void
  /** Null: what runs cannot be stopped. */
  onStop: (() => void) | null
  /** What stands beside the button: the choice of the model and the like. */
  children?: ReactNode
  ref?: Ref<Composer>
}) {
  const texts = useTexts()
  const [text, setText] = useDraft(userId, place)
  const field = useRef<HTMLTextAreaElement>(null)
  const latest = useRef(text)
  latest.current = text
  useEffect(() => {
    if (returned && !latest.current) setText(returned)
  }, [returned, setText])
  // a finger on the screen does not want the keyboard over the page
  const focus = useCallback(() => {
    if (isPointerFine()) field.current?.focus()
  }, [])
  useImperativeHandle(
    ref,
    () => ({
      take: (sent) => latest.current === sent && setText(''),
      give: (back) => latest.current === '' && setText(back),
      focus,
    }),
    [setText, focus],
  )
  // this may come long after the rest of the page: who is somewhere else by then stays there
  useEffect(() => {
    const at = document.activeElement
    const isLinkHere = at instanceof HTMLAnchorElement && at.pathname === window.location.pathname
    if (at === null || at === document.body || isLinkHere) focus()
  }, [focus])
  const send = () => {
    if (isBusy || !text.trim()) return
    setText('')
    onSend(text)
  }
  return (
    <form
      className={styles.composer}
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <GrowingText
        ref={field}
        value={text}
        onChange={setText}
        onEnter={send}
        label={texts.chat.message}
        placeholder={texts.chat.placeholder}
      />
      <div className={styles.tools}>
        <div>{children}</div>
        {isBusy && onStop ? (
          <button
            type="button"
            className={styles.send}
            aria-label={texts.chat.stop}
            title={texts.chat.stop}
            // the second click of a double click on what was the button to send
            onClick={(event) => {
              if (event.detail > 1) return
              onStop()
              // in the place of this button comes one that can be used only once there is a text
              focus()
            }}
          >
            <Square aria-hidden size={16} fill="currentColor" />
          </button>
        ) : (
          <button
            type="submit"
            className={styles.send}
            aria-label={texts.chat.send}
            title={texts.chat.send}
            disabled={isBusy || !text.trim()}
          >
            <ArrowUp aria-hidden size={20} />
          </button>
        )}
      </div>
    </form>
  )
})
