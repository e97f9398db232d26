import { useChat } from '@ai-sdk/react'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { useIsGone } from '../lib/gone'
import { asProblem, ProblemError } from '../lib/problem'
import { useServices } from '../lib/services'
import { useReread, useTopic } from '../lib/topics'
import { writes } from '../lib/writes'
import type { Preferences } from '../models/preferences'
import { type ChatMessage, isReply, isUnderWay, textOf, withNewest } from './messages'
import { ChatTransport, patientFetch, pause, type Waiting, waitFor } from './transport'
import { type Given, readView, useFeedback } from './useFeedback'
import { useStop } from './useStop'

const PAGE = 50
/** Renders of a growing reply: thirty a second look like more, and leave the page time. */
const FRAME_MS = 32

/** A message that was refused, or could not be sent: why, and what it was, so that nothing that was written is lost. */
export interface Refused {
  problem: ProblemError
  text: string
  /** The message that it was to replace. */
  editOf: string | null
  /** The reply beside which another one was to stand. */
  replyId?: string
}

export interface Conversation {
  messages: ChatMessage[]
  /** `reading` until the stored messages are there, `sent` until a reply begins. */
  state: 'reading' | 'unreadable' | 'ready' | 'sent' | 'replying'
  /** Why the messages cannot be read. */
  problem: ProblemError | null
  /** Set while the connection is away, or the server asks to come back. */
  waiting: Waiting | null
  refused: Refused | null
  hasOlder: boolean
  /** A name of a message that stays the same when the API gives it its id. */
  keyOf: (message: ChatMessage) => string
  readOlder: () => Promise<void>
  /** Reads until this message is among those that are shown, on whatever branch it is. Whether it is there. */
  find: (id: string) => Promise<boolean>
  reread: () => void
  send: (text: string) => void
  edit: (id: string, text: string) => void
  regenerate: (id: string) => void
  stop: () => void
  /** Shows the branch with this message, on all devices. */
  showVersion: (id: string) => void
  rate: (id: string, feedback: Given) => void
  forgetRefused: () => void
}

/** A stored conversation, its reply as it is written, and what can be done with it; it follows other devices by itself. */
export function useConversation(id: string, preferences: Preferences): Conversation {
  const { api, authorized } = useServices()
  const [waiting, setWaiting] = useState<Waiting | null>(null)
  const [refused, setRefused] = useState<Refused | null>(null)
  const [unreadable, setUnreadable] = useState<ProblemError | null>(null)
  const [isRead, setIsRead] = useState(false)
  const [isTurning, setIsTurning] = useState(false) // from a message that is sent to its reply's end, through cuts
  const [isGrowing, setIsGrowing] = useState(false)
  const [hasOlder, setHasOlder] = useState(false)
  const wanted = useRef(preferences)
  useEffect(() => {
    wanted.current = preferences
  })

  const transport = useMemo(
    () =>
      new ChatTransport({
        api: '/v1/chat',
        fetch: patientFetch(authorized, setWaiting),
        headers: { Accept: 'application/json, text/event-stream', 'X-UI-Message-Chunks': 'reset-step' },
        // the stored conversation is what the API goes by: of the history, only what is answered is named
        prepareSendMessagesRequest: ({ messages, trigger, messageId }) => ({
          body: {
            id,
            trigger,
            messageId,
            messages: messages.slice(-2).map((one, at, { length }) => (at < length - 1 ? { ...one, parts: [] } : one)),
            provider: wanted.current.model?.provider,
            model: wanted.current.model?.model,
            reasoning: wanted.current.reasoning ?? undefined,
            use_rag: wanted.current.useDocuments ?? undefined,
          },
        }),
      }),
    [id, authorized],
  )

  const isCut = useRef(false)
  const refusal = useRef<ProblemError | null>(null)
  const { messages, setMessages, sendMessage, regenerate, resumeStream, stop, clearError } = useChat<ChatMessage>({
    id,
    transport,
    // the first words are shown at once
    ...(isGrowing && { throttle: FRAME_MS }),
    onError(error) {
      if (error instanceof ProblemError) refusal.current = error
    },
    onFinish({ isDisconnect }) {
      isCut.current = isDisconnect
    },
  })
  // what is shown at this moment, for what runs beside the renders
  const shown = useRef(messages)
  const setShown = useCallback(
    (next: (before: readonly ChatMessage[]) => ChatMessage[]) =>
      setMessages((before) => {
        shown.current = next(before)
        return shown.current
      }),
    [setMessages],
  )

  const keys = useRef(new Map<string, string>())
  const keyOf = useCallback((message: ChatMessage) => keys.current.get(message.id) ?? message.id, [])

  const isGone = useIsGone()
  const turn = useRef(0) // counts what was begun here: an older answer does not undo a newer turn
  const begunAfter = useRef<string | undefined>(undefined) // the message that was the last one as the turn began
  const isBusy = useRef(false)
  const isRefreshing = useRef(false)
  const isStale = useRef(false)

  /** Reads the end of the branch anew. Waits while there is no connection. */
  const readNewest = useCallback(async () => {
    const begun = turn.current
    for (let failures = 0; !isGone.current && begun === turn.current; failures += 1) {
      await writes.idle(headOf(id))
      const { ended } = writes
      try {
        const { data } = await api.GET('/v1/conversations/{conversation_id}/messages', {
          params: { path: { conversation_id: id }, query: { order: 'desc', limit: PAGE } },
        })
        if (!data || isGone.current || begun !== turn.current) return
        if (ended !== writes.ended) continue
        const page = data.items.map(readView).reverse()
        setShown((before) => {
          const next = withNewest(before, page)
          if (next[0]?.id === page[0]?.id) setHasOlder(data.next_cursor !== null)
          rememberKeys(keys.current, before, next)
          return next
        })
        setIsRead(true)
        setUnreadable(null)
        return
      } catch (error) {
        const problem = asProblem(error)
        const isPassing = problem.code === 'offline' || problem.code === 'rate_limited' || problem.status >= 500
        if (!isPassing) {
          setUnreadable(problem)
          return
        }
        const delay = problem.retryAfter === null ? pause(failures) : problem.retryAfter * 1000
        setWaiting({ reason: reasonOf(problem), until: Date.now() + delay })
        await waitFor(delay)
      } finally {
        setWaiting(null)
      }
    }
  }, [api, id, setShown])

  /** Runs what makes a reply stream, takes it up again whenever it is cut, and reads what is stored in the end. */
  const follow = useCallback(
    async (action: () => Promise<void>) => {
      isBusy.current = true
      isCut.current = false
      setIsTurning(true)
      await action()
      for (let cuts = 0; isCut.current && !isGone.current; cuts += 1) {
        isCut.current = false
        const length = textOf(shown.current.at(-1) ?? NONE).length
        setWaiting({ reason: 'offline', until: Date.now() + pause(cuts) })
        await waitFor(pause(cuts))
        await resumeStream()
        if (textOf(shown.current.at(-1) ?? NONE).length > length) cuts = -1
      }
      isBusy.current = false
      setIsTurning(false)
      clearError()
    },
    [resumeStream, clearError],
  )

  /** Reads what is stored, and follows a reply that is being written. */
  const refresh = useCallback(async () => {
    if (isBusy.current || isRefreshing.current) {
      isStale.current = true
      return
    }
    isRefreshing.current = true
    do {
      isStale.current = false
      await readNewest()
      if (isUnderWay(shown.current.at(-1)) && !isBusy.current && !isGone.current) {
        begunAfter.current = undefined
        await follow(resumeStream)
        await readNewest()
      }
    } while (isStale.current && !isBusy.current && !isGone.current)
    isRefreshing.current = false
  }, [readNewest, follow, resumeStream])

  const take = useCallback(
    async (text: string, editOf: string | null, action: () => Promise<void>, replyId?: string) => {
      if (isBusy.current) return
      turn.current += 1
      begunAfter.current = shown.current.at(-1)?.id
      setRefused(null)
      await follow(async () => {
        refusal.current = null
        // what is said after another version was chosen follows that version
        if ((await writes.idle(headOf(id))) && !editOf) await readNewest()
        const before = shown.current
        await action()
        const problem = refusal.current as ProblemError | null
        if (!problem) return
        setShown(() => [...before])
        setRefused({ problem, text, editOf, ...(replyId && { replyId }) })
      })
      await refresh()
    },
    [id, follow, readNewest, refresh, setShown],
  )

  useEffect(() => {
    shown.current = messages
  }, [messages])
  useEffect(() => {
    refresh()
  }, [refresh])

  const feedback = useFeedback(shown, setShown)
  const refreshTold = useReread(refresh)
  useTopic(`conversation:${id}`, {
    joined: refresh,
    event(event, payload) {
      const own = shown.current.find((message) => message.id === payload.message_id)
      if (event === 'message.delta') {
        // the stream of the reply is followed instead
        if (!isBusy.current) refreshTold()
        return
      }
      const isKnown =
        event === 'message.created' || event === 'message.started' || own?.metadata?.status === payload.status
      if (event === 'message.feedback') {
        if (own) feedback.hear(own.id, payload.feedback as Given)
      } else if (event === 'head.changed' ? payload.head_id !== shown.current.at(-1)?.id : !own || !isKnown) {
        refreshTold()
      }
    },
  })

  const last = messages.at(-1)
  const replyId = isTurning && last && isReply(last) && last.id !== begunAfter.current ? last.id : null
  const hasWords = replyId !== null && last?.parts.some((part) => 'text' in part && part.text !== '')
  useEffect(() => setIsGrowing(hasWords === true), [hasWords])
  const takeBack = useCallback(() => {
    refusal.current = new ProblemError({ code: 'offline', status: 0 })
    stop()
  }, [stop])
  const stopNow = useStop({ replyId, isTurning, isWaiting: waiting !== null, takeBack })

  const readingOlder = useRef<Promise<void> | null>(null)
  const readOlder = useCallback(() => {
    const read = async (first: ChatMessage) => {
      const { data } = await api.GET('/v1/conversations/{conversation_id}/messages', {
        params: { path: { conversation_id: id }, query: { order: 'desc', limit: PAGE, before: first.id } },
      })
      if (!data || shown.current[0]?.id !== first.id) return
      setShown((before) => [...data.items.map(readView).reverse(), ...before])
      setHasOlder(data.next_cursor !== null)
    }
    const first = shown.current[0]
    // whoever asks meanwhile waits for the same page
    if (first && !readingOlder.current) {
      readingOlder.current = read(first)
        .catch(() => undefined) // no connection: scrolling tries again
        .finally(() => {
          readingOlder.current = null
        })
    }
    return readingOlder.current ?? Promise.resolve()
  }, [api, id, setShown])

  const setHead = useCallback(
    (messageId: string) =>
      writes.write(headOf(id), {
        stored: null,
        wanted: messageId,
        send: () =>
          api.PATCH('/v1/conversations/{conversation_id}', {
            params: { path: { conversation_id: id } },
            body: { head_id: messageId },
          }),
      }),
    [api, id],
  )
  const find = useCallback(
    async (messageId: string) => {
      const isShown = () => shown.current.some((one) => one.id === messageId)
      try {
        // of a message that is shown this changes nothing
        await setHead(messageId)
        await readNewest()
        for (let first: string | undefined; !isShown() && first !== shown.current[0]?.id; ) {
          first = shown.current[0]?.id
          await readOlder()
        }
      } catch {
        return false // it was deleted, or there is no connection: the conversation is shown without it
      }
      return isShown()
    },
    [setHead, readNewest, readOlder],
  )

  const actions = useMemo(
    () => ({
      send: (text: string) => void take(text, null, () => sendMessage({ text })),
      edit: (messageId: string, text: string) => void take(text, messageId, () => sendMessage({ text, messageId })),
      regenerate: (messageId: string) => void take('', null, () => regenerate({ messageId }), messageId),
      async showVersion(messageId: string) {
        try {
          await setHead(messageId)
          await refresh()
        } catch (error) {
          setRefused({ problem: asProblem(error), text: '', editOf: null })
        }
      },
      async rate(messageId: string, given: Given) {
        try {
          await feedback.give(messageId, given)
        } catch (error) {
          setRefused({ problem: asProblem(error), text: '', editOf: null })
        }
      },
      forgetRefused: () => setRefused(null),
      reread: () => void refresh(),
    }),
    [take, sendMessage, regenerate, setHead, refresh, feedback.give],
  )

  let state: Conversation['state'] = 'ready'
  if (unreadable) state = 'unreadable'
  else if (isTurning) state = replyId ? 'replying' : 'sent'
  else if (!isRead && messages.length === 0) state = 'reading'

  return {
    ...actions,
    messages,
    state,
    problem: unreadable,
    waiting,
    refused,
    hasOlder,
    keyOf,
    readOlder,
    find,
    stop: stopNow,
  }
}

const reasonOf = ({ code }: ProblemError) => (code === 'draining' || code === 'rate_limited' ? code : 'offline')

const NONE: ChatMessage = { id: '', role: 'user', parts: [] }

/** What writes go by. */
const headOf = (id: string) => `head of ${id}`

/** A message that the API has given an id keeps the name that it had before. */
function rememberKeys(keys: Map<string, string>, before: readonly ChatMessage[], next: readonly ChatMessage[]): void {
  next.forEach((message, index) => {
    const own = before[index]
    if (!own || own.id === message.id || own.role !== message.role || textOf(own) !== textOf(message)) return
    keys.set(message.id, keys.get(own.id) ?? own.id)
  })
}
