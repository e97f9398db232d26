import { RefreshCw } from 'lucide-react'
import { memo, useMemo, useState } from 'react'
import { useLanguage } from '../i18n/texts'
import { IconButton } from '../ui/Button'
import { Activity } from './Activity'
import { CopyButton } from './CopyButton'
import { Feedback } from './Feedback'
import styles from './Message.module.css'
import { CitationsContext } from './markdown/Citation'
import { Markdown } from './markdown/Markdown'
import { type ChatMessage, reasoningOf, sourcesOf, textOf } from './messages'
import { Reasoning } from './Reasoning'
import { ReplyEnd } from './ReplyEnd'
import { type OpenSource, Sources } from './Sources'
import { usageText } from './usageText'
import type { Given } from './useFeedback'
import { Versions } from './Versions'

/** A reply of the model, while it is written and afterwards. */
export const Reply = memo(function Reply({
  message,
  isOpen,
  isBusy,
  onRegenerate,
  onShowVersion,
  onRate,
}: {
  message: ChatMessage
  /** Whether it is being written. */
  isOpen: boolean
  /** Whether any reply is being written, so that no other can be asked for. */
  isBusy: boolean
  onRegenerate: (id: string) => void
  onShowVersion: (id: string) => void
  onRate: (id: string, feedback: Given) => void
}) {
  const { texts, language } = useLanguage()
  const [openSource, setOpenSource] = useState<OpenSource | null>(null)
  const { id, metadata = {} } = message
  const text = textOf(message)
  const reasoning = reasoningOf(message)
  const sources = useMemo(() => sourcesOf(message), [message])
  const citations = useMemo(
    () => ({
      titles: sources.map(({ title }) => title),
      show: (number: number) => setOpenSource({ number, isCited: true }),
    }),
    [sources],
  )
  return (
    <article className={styles.reply} aria-label={texts.chat.reply}>
      {reasoning ? (
        <Reasoning
          replyId={id}
          text={reasoning}
          isThinking={isOpen && text === ''}
          milliseconds={metadata.reasoning_ms ?? null}
        />
      ) : null}
      <CitationsContext value={citations}>
        <Markdown text={text} isOpen={isOpen} sources={sources.length} />
      </CitationsContext>
      {isOpen ? <Activity progress={text.length + reasoning.length} /> : null}
      {sources.length && (text || !isOpen) ? (
        <Sources sources={sources} open={openSource} onOpen={setOpenSource} />
      ) : null}
      {isOpen ? null : (
        <>
          <ReplyEnd metadata={metadata} onRetry={isBusy ? null : () => onRegenerate(id)} />
          <footer className={styles.actions}>
            <Versions siblings={metadata.siblings} isDisabled={isBusy} onShow={onShowVersion} />
            {text ? <CopyButton text={text} what="reply" /> : null}
            {text ? (
              <Feedback messageId={id} given={metadata.feedback ?? null} onGive={(feedback) => onRate(id, feedback)} />
            ) : null}
            <IconButton label={texts.chat.regenerate} disabled={isBusy} onClick={() => onRegenerate(id)}>
              <RefreshCw aria-hidden size={16} />
            </IconButton>
            <small className={styles.usage}>{usageText(texts, language, metadata)}</small>
          </footer>
        </>
      )}
    </article>
  )
})
