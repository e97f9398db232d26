import type { Virtualizer } from '@tanstack/react-virtual'
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { type ChatMessage, isReply, isUnderWay } from './messages'

/** So near to its end a reader is at the end. */
const AT_END = 80
/** Of a long question so much of the window is shown, and its reply has the rest. */
const LARGEST_QUESTION = 0.4
const TOP = 16
export const BOTTOM = 16
/** A scroll so soon after a wheel, a key or a finger is the reader's. */
const BY_HAND_MS = 600

interface Given {
  messages: readonly ChatMessage[]
  keyOf: (message: ChatMessage) => string
  virtualizer: Virtualizer<HTMLElement, Element>
  scroller: RefObject<HTMLElement | null>
  /** Set while the reader is at the end because they went there. */
  isFollowing: RefObject<boolean>
}

/**
 * Decides where the list is scrolled to. `question` is the index of the one that was put to the top (-1: none), `visible` the
 * pixels of the window that it has, and `room` its reply's least height, which lets it stay there.
 */
export function useScrolling({ messages, keyOf, virtualizer, scroller, isFollowing }: Given) {
  const [asked, setAsked] = useState<string | null>(null)
  const [isAway, setIsAway] = useState(false)
  const question = asked === null ? -1 : messages.findLastIndex((message) => keyOf(message) === asked)

  // a list that is opened begins at its end; a question whose reply is still to come goes to the top
  const lastQuestion = messages.findLast((message) => !isReply(message))
  const key = lastQuestion ? keyOf(lastQuestion) : null
  const last = messages.at(-1)
  // one that was written here has no place in the conversation yet
  const isOwn = useRef(false)
  isOwn.current = lastQuestion?.metadata === undefined
  const isGrowing = useRef(false)
  isGrowing.current = !isReply(last) || isUnderWay(last)
  // until the reply has its room and the question is where it belongs, or the reader scrolls
  const anchoring = useRef<string | null>(null)
  const byHand = useRef(Number.NEGATIVE_INFINITY)
  const known = useRef<string | null | undefined>(undefined)
  const wasAway = useRef(false)
  useLayoutEffect(() => {
    const before = known.current
    known.current = key
    if (key === null || before === key) return
    if (before === undefined && !isGrowing.current) {
      virtualizer.scrollToEnd()
    } else if (isOwn.current || !wasAway.current) {
      isFollowing.current = false
      anchoring.current = key
      byHand.current = Number.NEGATIVE_INFINITY // the key that has sent it scrolls nothing
      setAsked(key)
    }
  }, [key, virtualizer, isFollowing])

  const height = virtualizer.scrollRect?.height ?? 0
  const size = question < 0 ? 0 : (virtualizer.measurementsCache[question]?.size ?? 0)
  const visible = question < 0 ? 0 : Math.min(size, height * LARGEST_QUESTION) + TOP
  const room = Math.max(0, height - visible - BOTTOM)
  const total = virtualizer.getTotalSize()
  // again with each new size: while a row is measured the list may be too short for it, and then it cannot be scrolled so far
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  useLayoutEffect(() => {
    if (question < 0 || anchoring.current !== asked) return
    virtualizer.scrollToIndex(question + 1, { align: 'start' })
    const reply = messages[question + 1] && virtualizer.measurementsCache[question + 1]
    const left = reply ? reply.start - visible - (scroller.current?.scrollTop ?? 0) : Number.POSITIVE_INFINITY
    if (reply && reply.size >= room - 1 && Math.abs(left) < 2) anchoring.current = null
  }, [asked, question, total, visible, room, virtualizer])

  useEffect(() => {
    const element = scroller.current
    if (!element) return
    let last = element.scrollTop
    const onHand = () => {
      byHand.current = performance.now()
    }
    const look = () => {
      const left = element.scrollHeight - element.clientHeight - element.scrollTop
      const isByHand = performance.now() - byHand.current < BY_HAND_MS
      if (isByHand && element.scrollTop !== last) anchoring.current = null
      if (isByHand && element.scrollTop < last - 1) isFollowing.current = false
      else if (isByHand && element.scrollTop > last && left < 8) isFollowing.current = true
      last = element.scrollTop
      wasAway.current = left > AT_END
      setIsAway(wasAway.current)
    }
    const hands = ['wheel', 'touchmove', 'keydown', 'pointerdown'] as const
    for (const hand of hands) element.addEventListener(hand, onHand, { passive: true })
    element.addEventListener('scroll', look, { passive: true })
    const observer = new ResizeObserver(look)
    observer.observe(element)
    if (element.firstElementChild) observer.observe(element.firstElementChild)
    return () => {
      for (const hand of hands) element.removeEventListener(hand, onHand)
      element.removeEventListener('scroll', look)
      observer.disconnect()
    }
  }, [scroller, isFollowing])

  const goToEnd = useCallback(() => {
    isFollowing.current = true
    anchoring.current = null
    virtualizer.scrollToEnd()
    scroller.current?.focus({ preventScroll: true })
  }, [virtualizer, scroller, isFollowing])

  return { question, visible, room, isAway, goToEnd }
}
