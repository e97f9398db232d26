import { type RefObject, useCallback } from 'react'
import type { Schemas } from '../lib/api'
import { useServices } from '../lib/services'
import { writes } from '../lib/writes'
import { type ChatMessage, fromView } from './messages'

/** What the user says of a reply; null: nothing. */
export type Given = Schemas['Feedback'] | null

/** Gives and reads what the user says of the replies that are shown. */
export function useFeedback(
  shown: RefObject<ChatMessage[]>,
  setShown: (next: (before: readonly ChatMessage[]) => ChatMessage[]) => void,
) {
  const { api } = useServices()
  const set = useCallback(
    (messageId: string, feedback: Given) =>
      setShown((before) =>
        before.map((one) => (one.id === messageId ? { ...one, metadata: { ...one.metadata, feedback } } : one)),
      ),
    [setShown],
  )
  /** Throws why it was not stored; what is stored is shown again. */
  const give = useCallback(
    (messageId: string, feedback: Given) => {
      const params = { path: { message_id: messageId } }
      return writes.write<Given>(nameOf(messageId), {
        stored: shown.current.find((one) => one.id === messageId)?.metadata?.feedback ?? null,
        wanted: feedback,
        show: (value) => set(messageId, value),
        send: () =>
          feedback
            ? api.PUT('/v1/messages/{message_id}/feedback', { params, body: feedback })
            : api.DELETE('/v1/messages/{message_id}/feedback', { params }),
      })
    },
    [api, shown, set],
  )
  /** Takes what Realtime tells. It may be an older one of this page's own, so what is stored is read. */
  const hear = useCallback(
    async (messageId: string, told: Given) => {
      const own = shown.current.find((one) => one.id === messageId)
      if (!own || isSame(own.metadata?.feedback ?? null, told)) return
      const params = { path: { message_id: messageId } }
      try {
        const { data } = await writes.read(nameOf(messageId), () => api.GET('/v1/messages/{message_id}', { params }))
        if (data) set(messageId, data.feedback)
      } catch {
        // no connection: when it is back, all is read anew
      }
    },
    [api, shown, set],
  )
  return { give, hear }
}

/** A message as it was read, with what is on its way to it. */
export function readView(view: Schemas['MessageView']): ChatMessage {
  return fromView({ ...view, feedback: writes.shown(nameOf(view.id), view.feedback) })
}

/** What writes go by. */
const nameOf = (messageId: string) => `feedback of ${messageId}`

const isSame = (one: Given, other: Given) =>
  one?.rating === other?.rating && (one?.comment ?? null) === (other?.comment ?? null)
