import { ChevronRight } from 'lucide-react'
import { useState } from 'react'
import { useTexts } from '../i18n/texts'
import styles from './Message.module.css'
import { Markdown } from './markdown/Markdown'
import { useThinkingSeconds } from './thinking'

/** What the model shows of its thinking: folded, with the time that it takes. */
export function Reasoning({
  replyId,
  text,
  isThinking,
  milliseconds,
}: {
  replyId: string
  text: string
  isThinking: boolean
  /** How long it has thought, as it is stored; null until the reply is over. */
  milliseconds: number | null
}) {
  const texts = useTexts()
  const [isOpen, setIsOpen] = useState(false)
  const seen = useThinkingSeconds(replyId, isThinking)
  const seconds = milliseconds === null ? seen : Math.max(1, Math.round(milliseconds / 1000))
  return (
    <details className={styles.reasoning} open={isOpen} onToggle={(event) => setIsOpen(event.currentTarget.open)}>
      <summary>
        <ChevronRight aria-hidden size={16} />
        {isThinking ? texts.chat.thinking(seconds ?? 0) : texts.chat.thought(seconds)}
      </summary>
      {isOpen ? <Markdown text={text} isOpen={isThinking} sources={0} /> : null}
    </details>
  )
}
