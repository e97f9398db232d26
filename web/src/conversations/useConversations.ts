import type { Schemas } from '../lib/api'
import { find, mapItems, type Pages, useLivePages } from '../lib/livePages'
import { useServices } from '../lib/services'
import { writes } from '../lib/writes'

export type Conversation = Schemas['ConversationView']

export const CONVERSATIONS = ['conversations'] as const

/** The user's conversations by last activity, page by page, kept up to date by Realtime. */
export function useConversations() {
  const { api } = useServices()
  const { items, ...query } = useLivePages<Conversation>({
    name: CONVERSATIONS,
    without: 30_000,
    async read(cursor, signal) {
      const { data } = await api.GET('/v1/conversations', { params: { query: { ...(cursor && { cursor }) } }, signal })
      const page = data as Schemas['ConversationPage']
      return { ...page, items: page.items.map(withWritten) }
    },
    apply: afterEvent,
  })
  return { ...query, conversations: items }
}

/** What writes of its title go by. */
export const titleOfId = (id: string) => `title of ${id}`

/** A conversation as it was read, with the title that is on its way to it. */
function withWritten(one: Conversation): Conversation {
  return { ...one, title: writes.shown(titleOfId(one.id), one.title) }
}

function afterEvent(
  pages: Pages<Conversation>,
  event: string,
  payload: Record<string, unknown>,
): Pages<Conversation> | null {
  const id = String(payload.conversation_id)
  if (event === 'conversation.deleted') return without(pages, id)
  if (event !== 'conversation.created' && event !== 'conversation.updated') return pages
  const changed = withWritten({ ...payload, id } as unknown as Conversation)
  const known = find(pages, id)
  // one that comes late is older than what was read, or of a transaction that took longer
  if (known && Date.parse(known.updated_at) > Date.parse(changed.updated_at)) return null
  return withConversation(pages, { ...known, ...changed })
}

/** The pages with another title of a conversation, which stays where it is. */
export function withTitle(pages: Pages<Conversation>, id: string, title: string | null): Pages<Conversation> {
  return mapItems(pages, (items) => items.map((one) => (one.id === id ? { ...one, title } : one)))
}

function without(pages: Pages<Conversation>, id: string): Pages<Conversation> {
  return mapItems(pages, (items) => items.filter((one) => one.id !== id))
}

/** The pages with a conversation in its place by last activity. One that belongs to a page not yet read is left out. */
function withConversation(pages: Pages<Conversation>, next: Conversation): Pages<Conversation> {
  let placed = false
  const others = without(pages, next.id)
  const result = others.pages.map((page, index) => {
    if (placed) return page
    const at = page.items.findIndex((one) => Date.parse(one.last_message_at) < Date.parse(next.last_message_at))
    const isEnd = index === others.pages.length - 1 && !page.next_cursor
    if (at === -1 && !isEnd) return page
    placed = true
    const items = at === -1 ? [...page.items, next] : page.items.toSpliced(at, 0, next)
    return { ...page, items }
  })
  return { ...others, pages: result }
}
