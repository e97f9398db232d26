import { ChevronRight } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { useTexts } from '../i18n/texts'
import styles from './Message.module.css'
import { Markdown } from './markdown/Markdown'

/** How long each reply has thought, in seconds, as far as it was seen here. */
const seen = new Map<string, number>()

/** What the model shows of its thinking: folded, with the time that it takes. */
export function Reasoning({ replyId, text, isThinking }: { replyId: string; text: string; isThinking: boolean }) {
  const texts = useTexts()
  const [isOpen, setIsOpen] = useState(false)
  const seconds = useSeconds(replyId, isThinking)
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

function useSeconds(replyId: string, isThinking: boolean): number | null {
  const [seconds, setSeconds] = useState(seen.get(replyId) ?? null)
  const begun = useRef<number | null>(null)
  useEffect(() => {
    if (!isThinking) return
    begun.current ??= Date.now()
    const measure = () => {
      const passed = Math.round((Date.now() - (begun.current ?? Date.now())) / 1000)
      seen.set(replyId, passed)
      setSeconds(passed)
    }
    measure()
    const timer = setInterval(measure, 1000)
    return () => {
      clearInterval(timer)
      measure()
    }
  }, [replyId, isThinking])
  return seconds
}
