import { useEffect, useRef, useState } from 'react'
import { useTexts } from '../i18n/texts'
import styles from './Message.module.css'
import type { ChatMessage } from './messages'
import { isReply, textOf } from './messages'

/** Tells a screen reader that a reply begins, and how it ended with its text; never word by word. */
export function Announcer({ last, isBusy }: { last: ChatMessage | undefined; isBusy: boolean }) {
  const texts = useTexts()
  const [said, setSaid] = useState('')
  const wasBusy = useRef(isBusy)
  useEffect(() => {
    if (isBusy && !wasBusy.current) setSaid(texts.chat.replyBegins)
    if (!isBusy && wasBusy.current && last && isReply(last))
      setSaid(`${texts.chat.replyEnds} ${textOf(last).slice(0, 500)}`)
    wasBusy.current = isBusy
  }, [isBusy, last, texts])
  return (
    <p role="status" className={styles.hidden}>
      {said}
    </p>
  )
}
