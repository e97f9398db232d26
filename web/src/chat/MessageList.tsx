import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown } from 'lucide-react'
import { type ReactNode, useLayoutEffect, useRef } from 'react'
import { useTexts } from '../i18n/texts'
import { Button } from '../ui/Button'
import styles from './MessageList.module.css'
import type { ChatMessage } from './messages'
import { useKeptFocus } from './useKeptFocus'
import { BOTTOM, useScrolling } from './useScrolling'

const ESTIMATE = { user: 96, assistant: 280, system: 60 }
/** Older messages are read when so much is left above. */
const NEARLY_AT_TOP = 1500

/**
 * The messages, of which only those near the window are in the page. A new question goes to the top of the window, and its
 * reply grows below; the list scrolls by itself only for someone who has gone to its end and stays there.
 */
export function MessageList({
  messages,
  target,
  keyOf,
  isReplyAwaited,
  hasOlder,
  onOlder,
  render,
  awaited,
}: {
  messages: readonly ChatMessage[]
  /** The message to scroll to, once. */
  target: string | null
  keyOf: (message: ChatMessage) => string
  /** Whether the last question has no reply yet: `awaited` stands in its place. */
  isReplyAwaited: boolean
  hasOlder: boolean
  onOlder: () => void
  render: (message: ChatMessage, index: number) => ReactNode
  awaited: ReactNode
}) {
  const texts = useTexts()
  const scroller = useRef<HTMLElement>(null)
  const count = messages.length + (isReplyAwaited ? 1 : 0)
  const isFollowing = useRef(false)
  const visible = useRef(0)
  const virtualizer = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => {
      const message = messages[index]
      return message ? keyOf(message) : 'awaited'
    },
    estimateSize: (index) => ESTIMATE[messages[index]?.role ?? 'assistant'],
    overscan: 3,
    paddingStart: 24,
    paddingEnd: BOTTOM,
    scrollPaddingStart: visible.current,
    anchorTo: 'end',
    // one who has not gone to the end is never taken along
    scrollEndThreshold: isFollowing.current ? 80 : -1,
  })
  const { question, room, isAway, goToEnd, ...scrolling } = useScrolling({
    messages,
    keyOf,
    virtualizer,
    scroller,
    isFollowing,
  })
  visible.current = scrolling.visible
  useKeptFocus(scroller)
  const items = virtualizer.getVirtualItems()
  const first = items[0]?.index ?? 0
  const targetIndex = useRef(-1)
  targetIndex.current = target === null ? -1 : messages.findIndex(({ id }) => id === target)
  const isThere = targetIndex.current >= 0
  const shownTarget = useRef<string | null>(null)
  useLayoutEffect(() => {
    // a message that goes with its branch and comes back with it scrolls nobody again
    if (target === null || !isThere || shownTarget.current === target) return
    shownTarget.current = target
    virtualizer.scrollToIndex(targetIndex.current, { align: 'start' })
  }, [target, isThere, virtualizer])
  useLayoutEffect(() => {
    if (hasOlder && (virtualizer.scrollOffset ?? Number.POSITIVE_INFINITY) < NEARLY_AT_TOP && first < 8) onOlder()
  }, [hasOlder, onOlder, first, virtualizer])

  return (
    <div className={styles.frame}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the list is scrolled by keyboard */}
      <section ref={scroller} className={styles.scroller} tabIndex={0} aria-label={texts.chat.messages}>
        <div style={{ height: virtualizer.getTotalSize() }} className={styles.whole}>
          {/* biome-ignore lint/a11y/noRedundantRoles: without markers it is a list to Safari only so */}
          <ol role="list" className={styles.shown} style={{ transform: `translateY(${items[0]?.start ?? 0}px)` }}>
            {items.map(({ key, index }) => {
              const message = messages[index]
              return (
                <li
                  key={key}
                  ref={virtualizer.measureElement}
                  data-index={index}
                  aria-setsize={hasOlder ? -1 : count}
                  aria-posinset={index + 1}
                  style={question >= 0 && index === count - 1 && index > question ? { minHeight: room } : undefined}
                >
                  {message ? render(message, index) : awaited}
                </li>
              )
            })}
          </ol>
        </div>
      </section>
      {isAway ? (
        <Button className={styles.jump ?? ''} onClick={goToEnd}>
          <ArrowDown aria-hidden size={16} /> {texts.chat.jumpToLatest}
        </Button>
      ) : null}
    </div>
  )
}
