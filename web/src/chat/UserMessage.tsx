import { Pencil } from 'lucide-react'
import { memo, useEffect, useRef, useState } from 'react'
import { useTexts } from '../i18n/texts'
import { isWriting } from '../lib/focus'
import { isComposing } from '../lib/keys'
import { useUser } from '../lib/session'
import { Button, IconButton } from '../ui/Button'
import { CopyButton } from './CopyButton'
import { GrowingText } from './GrowingText'
import styles from './Message.module.css'
import { type ChatMessage, textOf } from './messages'
import { useDraft } from './useDraft'
import { Versions } from './Versions'

/** What the user has said, as it was typed. It can be edited, which begins another branch. */
export const UserMessage = memo(function UserMessage({
  message,
  isBusy,
  refusedEdit,
  onEdit,
  onShowVersion,
}: {
  message: ChatMessage
  isBusy: boolean
  /** The text of an edit that was refused: it is open again, so that it is not lost. */
  refusedEdit: string | null
  onEdit: (id: string, text: string) => void
  onShowVersion: (id: string) => void
}) {
  const texts = useTexts()
  const { id, metadata = {} } = message
  const text = textOf(message)
  // a message that is scrolled away leaves the page, and what was written comes back with it
  const [draft, keepDraft] = useDraft(useUser().id, `edit.${id}`)
  const [edited, setEdited] = useState<string | null>(refusedEdit ?? (draft || null))
  const isAsked = useRef(refusedEdit !== null && !isWriting())
  const editButton = useRef<HTMLButtonElement>(null)
  const write = (next: string | null) => {
    setEdited(next)
    keepDraft(next === null || next === text ? '' : next)
  }
  useEffect(() => {
    if (refusedEdit === null) return
    isAsked.current = !isWriting()
    setEdited(refusedEdit)
    keepDraft(refusedEdit)
  }, [refusedEdit, keepDraft])

  if (edited !== null) {
    const close = () => {
      write(null)
      requestAnimationFrame(() => editButton.current?.focus())
    }
    const submit = () => {
      if (!edited.trim() || isBusy) return
      write(null)
      if (edited !== text) onEdit(id, edited)
    }
    return (
      <form
        className={styles.editor}
        onSubmit={(event) => {
          event.preventDefault()
          submit()
        }}
        onKeyDown={(event) => event.key === 'Escape' && !isComposing(event) && close()}
      >
        <GrowingText
          value={edited}
          onChange={write}
          onEnter={submit}
          label={texts.chat.editMessage}
          isFocused={isAsked.current}
        />
        <div>
          <Button onClick={close}>{texts.common.cancel}</Button>
          <Button type="submit" kind="primary" disabled={!edited.trim() || isBusy}>
            {texts.chat.sendEdit}
          </Button>
        </div>
      </form>
    )
  }
  return (
    <article className={styles.user} aria-label={texts.chat.you}>
      <p className={styles.said} dir="auto">
        {text}
      </p>
      <footer className={styles.actions}>
        <Versions siblings={metadata.siblings} isDisabled={isBusy} onShow={onShowVersion} />
        <CopyButton text={text} what="message" />
        <IconButton
          ref={editButton}
          label={texts.chat.edit}
          disabled={isBusy}
          onClick={() => {
            isAsked.current = true
            write(text)
          }}
        >
          <Pencil aria-hidden size={16} />
        </IconButton>
      </footer>
    </article>
  )
})
