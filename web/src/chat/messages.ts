import type { UIMessage } from 'ai'
import type { Schemas } from '../lib/api'

type View = Schemas['MessageView']

/** What the API says of a message beside its text. Of one that has only just been sent, little is known. */
export type Metadata = Partial<
  Pick<
    View,
    | 'status'
    | 'parent_id'
    | 'siblings'
    | 'provider'
    | 'model'
    | 'finish_reason'
    | 'problem'
    | 'reasoning_ms'
    | 'usage'
    | 'cost_micro_usd'
    | 'feedback'
    | 'created_at'
    | 'updated_at'
    | 'seq'
  >
>

export type ChatMessage = UIMessage<Metadata>

/** A passage of the user's documents that a reply was given. */
export type Source = Pick<Schemas['Source'], 'id' | 'title' | 'excerpt'>

/** A message of the API as one of the AI SDK's. */
export function fromView(view: View): ChatMessage {
  const { id, role, content, reasoning, sources, ...metadata } = view
  const parts: ChatMessage['parts'] = (sources ?? []).map(({ id: sourceId, title, ...parley }) => ({
    type: 'source-document',
    sourceId,
    title,
    mediaType: 'text/plain',
    providerMetadata: { parley },
  }))
  if (reasoning) parts.push({ type: 'reasoning', text: reasoning, state: 'done' })
  if (content) parts.push({ type: 'text', text: content })
  return { id, role, metadata, parts }
}

/** The passages that a reply may cite, by their place, from 1. */
export function sourcesOf(message: ChatMessage): Source[] {
  return message.parts.flatMap((part) =>
    part.type === 'source-document'
      ? [{ id: part.sourceId, title: part.title, excerpt: String(part.providerMetadata?.parley?.excerpt ?? '') }]
      : [],
  )
}

const joined = (message: ChatMessage, type: 'text' | 'reasoning') =>
  message.parts.reduce((text, part) => (part.type === type ? text + part.text : text), '')

export const textOf = (message: ChatMessage) => joined(message, 'text')
export const reasoningOf = (message: ChatMessage) => joined(message, 'reasoning')

export const isReply = (message: ChatMessage | undefined) => message?.role === 'assistant'
export const isUnderWay = (message: ChatMessage | undefined) => message?.metadata?.status === 'streaming'

function isSame(one: ChatMessage, other: ChatMessage): boolean {
  return (
    one.id === other.id &&
    JSON.stringify(one.metadata) === JSON.stringify(other.metadata) &&
    textOf(one) === textOf(other)
  )
}

/**
 * The shown messages after the newest ones were read again. `page` is the end of the branch, oldest first. What comes
 * before it stays, unless the branch is another one; what has not changed stays the same object, and is not rendered again.
 */
export function withNewest(shown: readonly ChatMessage[], page: readonly ChatMessage[]): ChatMessage[] {
  const [first] = page
  if (!first) return []
  const known = new Map(shown.map((message) => [message.id, message]))
  const newest = page.map((message) => {
    const before = known.get(message.id)
    return before && isSame(before, message) ? before : message
  })
  let at = shown.findIndex(({ id }) => id === first.id)
  if (at < 0 && first.metadata?.parent_id) at = shown.findIndex(({ id }) => id === first.metadata?.parent_id) + 1
  return at > 0 ? [...shown.slice(0, at), ...newest] : newest
}
