import { ChevronRight } from 'lucide-react'
import { useState } from 'react'
import { useTexts } from '../i18n/texts'
import styles from './Message.module.css'
import { Markdown } from './markdown/Markdown'
import { useThinkingSeconds } from './thinking'

/** What the model shows of its thinking: folded, with the time that it takes. */
export function Reasoning({ replyId, text, isThinking }: { replyId: string; text: string; isThinking: boolean }) {
  const texts = useTexts()
  const [isOpen, setIsOpen] = useState(false)
  const seconds = useThinkingSeconds(replyId, isThinking)
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
