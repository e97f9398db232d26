import { useCallback, useEffect, useRef } from 'react'
import { asProblem } from '../lib/problem'
import { useServices } from '../lib/services'
import { pause, waitFor } from './transport'

interface Given {
  /** The reply that is being written; null while there is none. */
  replyId: string | null
  /** From a message that is sent to its reply's end. */
  isTurning: boolean
  /** Whether a message has not reached the API, because the connection is away. */
  isWaiting: boolean
  /** Takes back a message that has not reached the API. */
  takeBack: () => void
}

/** Stops the reply that is being written. A reply is stopped by its id, so a stop that comes before it waits for it. */
export function useStop({ replyId, isTurning, isWaiting, takeBack }: Given): () => void {
  const { api } = useServices()
  const wantsStop = useRef(false)
  const underWay = useRef<string | null>(null)
  useEffect(() => {
    underWay.current = replyId
    return () => {
      underWay.current = null
    }
  }, [replyId])
  const stopReply = useCallback(
    async (id: string) => {
      wantsStop.current = false
      for (let failures = 0; underWay.current === id; failures += 1) {
        try {
          await api.POST('/v1/messages/{message_id}/stop', { params: { path: { message_id: id } } })
          return
        } catch (error) {
          if (asProblem(error).code !== 'offline') return // it has ended
          await waitFor(pause(failures))
        }
      }
    },
    [api],
  )
  useEffect(() => {
    if (replyId && wantsStop.current) void stopReply(replyId)
    if (!isTurning) wantsStop.current = false
  }, [replyId, isTurning, stopReply])
  return useCallback(() => {
    if (replyId) void stopReply(replyId)
    else if (isWaiting) takeBack()
    else wantsStop.current = true
  }, [replyId, isWaiting, takeBack, stopReply])
}
