import { DefaultChatTransport, type UIMessageChunk } from 'ai'
import { asProblem, problemOf } from '../lib/problem'
import type { ChatMessage, Metadata } from './messages'

/** Why nothing arrives at the moment, and when it is tried again (milliseconds of `Date.now()`). */
export interface Waiting {
  reason: 'offline' | 'draining' | 'rate_limited'
  until: number
}

const LONGEST_PAUSE_MS = 15_000
/** The API sends a comment after 15 s of silence at the latest. */
const SILENCE_MS = 40_000

/** Milliseconds before the next try. */
export function pause(failures: number): number {
  return Math.min(500 * 2 ** failures, LONGEST_PAUSE_MS)
}

/** Waits, or less when the browser says that it is online again. Rejects when `signal` is aborted. */
export function waitFor(milliseconds: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => () => {
      clearTimeout(timer)
      window.removeEventListener('online', onOnline)
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    const onOnline = end(resolve)
    const onAbort = end(() => reject(signal?.reason))
    const timer = setTimeout(onOnline, milliseconds)
    window.addEventListener('online', onOnline)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) onAbort()
  })
}

/**
 * A `fetch` for the transport that gives up only where trying again is of no use. A request that was not answered is sent
 * again as it was: the API knows it by the message's id, and begins no second turn. Throws a `ProblemError` for a refusal.
 */
export function patientFetch(
  fetch: typeof globalThis.fetch,
  onWaiting: (waiting: Waiting | null) => void,
): typeof fetch {
  return async (input, init) => {
    for (let failures = 0; ; failures += 1) {
      try {
        const answer = await fetch(input, init)
        if (answer.ok) {
          onWaiting(null)
          return watched(answer)
        }
        throw await problemOf(answer)
      } catch (error) {
        const problem = init?.signal?.aborted ? null : asProblem(error)
        if (problem?.code !== 'offline' && problem?.code !== 'draining') {
          onWaiting(null)
          throw error
        }
        const delay = problem.retryAfter === null ? pause(failures) : problem.retryAfter * 1000
        onWaiting({ reason: problem.code, until: Date.now() + delay })
        await waitFor(delay, init?.signal).finally(() => init?.signal?.aborted && onWaiting(null))
      }
    }
  }
}

/** The answer, whose body fails when nothing arrives for so long that the connection must be dead. */
function watched(answer: Response): Response {
  // 204, nothing to resume: browsers differ in whether it has a body, and it may not be given one
  if (!answer.body || answer.status === 204) return answer
  let timer: ReturnType<typeof setTimeout> | undefined
  const watch = (controller: TransformStreamDefaultController<Uint8Array>) => {
    clearTimeout(timer)
    timer = setTimeout(() => controller.error(cut()), SILENCE_MS)
  }
  const body = answer.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      start: watch,
      transform(bytes, controller) {
        watch(controller)
        controller.enqueue(bytes)
      },
      flush: () => clearTimeout(timer),
    }),
  )
  return new Response(body, { status: answer.status, headers: answer.headers })
}

/** What the metadata of a stream have beyond those of a message. */
type StreamMetadata = Metadata & { resume?: boolean }

/** What the AI SDK takes for a cut connection: a TypeError that speaks of the network. */
const cut = () => new TypeError('network: the stream was cut')

const ENDS = ['complete', 'stopped', 'filtered', 'failed', 'interrupted'] satisfies Metadata['status'][]

/**
 * `useChat`'s transport on `/v1/chat`. The metadata of a reply say how it has ended, and with them the stream is over: what
 * follows is a title, which comes by Realtime too, or the problem in words. A stream without them has been cut, and fails.
 */
export class ChatTransport extends DefaultChatTransport<ChatMessage> {
  protected override processResponseStream(
    stream: ReadableStream<Uint8Array<ArrayBufferLike>>,
  ): ReadableStream<UIMessageChunk> {
    return super.processResponseStream(stream).pipeThrough(
      new TransformStream<UIMessageChunk, UIMessageChunk>({
        transform(chunk, controller) {
          const { resume, status }: StreamMetadata = (chunk.type === 'message-metadata' && chunk.messageMetadata) || {}
          if (resume) {
            controller.error(cut()) // the server cannot go on, and the reply does
            return
          }
          controller.enqueue(chunk)
          if (!status || !ENDS.some((end) => end === status)) return
          controller.enqueue({ type: 'finish' })
          controller.terminate()
        },
        flush: (controller) => controller.error(cut()),
      }),
    )
  }
}
