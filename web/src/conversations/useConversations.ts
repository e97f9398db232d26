import { type InfiniteData, useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import type { Schemas } from '../lib/api'
import { useServices } from '../lib/services'
import { useUser } from '../lib/session'
import { useTopic } from '../lib/topics'
import { writes } from '../lib/writes'

export type Conversation = Schemas['ConversationView']
export type Pages = InfiniteData<Schemas['ConversationPage'], string | undefined>

export const CONVERSATIONS = ['conversations'] as const
const WITHOUT_REALTIME_MS = 30_000

/** The user's conversations by last activity, page by page, kept up to date by Realtime. */
export function useConversations() {
  const { api } = useServices()
  const user = useUser()
  const queries = useQueryClient()
  const [live, setLive] = useState(true)

  const query = useInfiniteQuery({
    queryKey: CONVERSATIONS,
    queryFn: async ({ pageParam, signal }) => {
      const { data } = await api.GET('/v1/conversations', {
        params: { query: { ...(pageParam && { cursor: pageParam }) } },
        signal,
      })
      const page = data as Schemas['ConversationPage']
      return { ...page, items: page.items.map(withWritten) }
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: live ? false : WITHOUT_REALTIME_MS,
  })

  useTopic(`user:${user.id}`, {
    joined: () => {
      setLive(true)
      void queries.invalidateQueries({ queryKey: CONVERSATIONS })
    },
    left: () => setLive(false),
    event: (event, payload) => {
      const id = String(payload.conversation_id)
      if (event === 'conversation.deleted') queries.setQueryData<Pages>(CONVERSATIONS, (pages) => without(pages, id))
      if (event === 'conversation.created' || event === 'conversation.updated') {
        const changed = withWritten({ ...payload, id } as unknown as Conversation)
        const known = find(queries.getQueryData<Pages>(CONVERSATIONS), id)
        // one that comes late is older than what was read, or of a transaction that took longer: what is stored is read
        if (known && Date.parse(known.updated_at) > Date.parse(changed.updated_at))
          void queries.invalidateQueries({ queryKey: CONVERSATIONS, exact: true })
        else queries.setQueryData<Pages>(CONVERSATIONS, (pages) => withConversation(pages, changed))
      }
    },
  })

  const conversations = useMemo(() => {
    const seen = new Set<string>()
    // a page that is read later may repeat one that has moved meanwhile
    return (query.data?.pages ?? [])
      .flatMap((page) => page.items)
      .filter((one) => !seen.has(one.id) && seen.add(one.id))
  }, [query.data])
  return { ...query, conversations, live }
}

/** What writes of its title go by. */
export const titleOfId = (id: string) => `title of ${id}`

/** A conversation as it was read, with the title that is on its way to it. */
function withWritten(one: Conversation): Conversation {
  return { ...one, title: writes.shown(titleOfId(one.id), one.title) }
}

function find(pages: Pages | undefined, id: string): Conversation | undefined {
  return pages?.pages.flatMap((page) => page.items).find((one) => one.id === id)
}

/** The pages with another title of a conversation, which stays where it is. */
export function withTitle(pages: Pages | undefined, id: string, title: string | null): Pages | undefined {
  const known = find(pages, id)
  return known ? withConversation(pages, { ...known, title }) : pages
}

/** The pages without a conversation. */
export function without(pages: Pages | undefined, id: string): Pages | undefined {
  if (!pages) return pages
  return {
    ...pages,
    pages: pages.pages.map((page) => ({ ...page, items: page.items.filter((one) => one.id !== id) })),
  }
}

/** The pages with a conversation in its place by last activity. One that belongs to a page not yet read is left out. */
export function withConversation(pages: Pages | undefined, changed: Conversation): Pages | undefined {
  if (!pages) return pages
  const known = find(pages, changed.id)
  const next = { ...known, ...changed }
  let placed = false
  const others = without(pages, changed.id) as Pages
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
