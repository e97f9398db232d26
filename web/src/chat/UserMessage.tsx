import { Pencil } from 'lucide-react'
import { memo, useEffect, useRef, useState } from 'react'
import { useTexts } from '../i18n/texts'
import buttons from './Button.module.css'
import { CopyButton } from './CopyButton'
import { GrowingText } from './GrowingText'
import styles from './Message.module.css'
import { type ChatMessage, textOf } from './messages'
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
  const [edited, setEdited] = useState<string | null>(refusedEdit)
  const editButton = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (refusedEdit !== null) setEdited(refusedEdit)
  }, [refusedEdit])
  const { id, metadata = {} } = message
  const text = textOf(message)

  if (edited !== null) {
    const close = () => {
      setEdited(null)
      requestAnimationFrame(() => editButton.current?.focus())
    }
    const submit = () => {
      if (!edited.trim() || isBusy) return
      setEdited(null)
      if (edited !== text) onEdit(id, edited)
    }
    return (
      <form
        className={styles.editor}
        onSubmit={(event) => {
          event.preventDefault()
          submit()
        }}
        onKeyDown={(event) => event.key === 'Escape' && close()}
      >
        <GrowingText value={edited} onChange={setEdited} onEnter={submit} label={texts.chat.editMessage} isFocused />
        <div>
          <button type="button" className={buttons.text} onClick={close}>
            {texts.common.cancel}
          </button>
          <button type="submit" className={`${buttons.text} ${buttons.main}`} disabled={!edited.trim() || isBusy}>
            {texts.chat.sendEdit}
          </button>
        </div>
      </form>
    )
  }
  return (
    <article className={styles.user} aria-label={texts.chat.you}>
      <p className={styles.said}>{text}</p>
      <footer className={styles.actions}>
        <Versions siblings={metadata.siblings} isDisabled={isBusy} onShow={onShowVersion} />
        <CopyButton text={text} what="message" />
        <button
          type="button"
          ref={editButton}
          className={buttons.icon}
          aria-label={texts.chat.edit}
          title={texts.chat.edit}
          disabled={isBusy}
          onClick={() => setEdited(text)}
        >
          <Pencil aria-hidden size={16} />
        </button>
      </footer>
    </article>
  )
})
