import { type InfiniteData, useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import type { Schemas } from '../lib/api'
import { useServices } from '../lib/services'
import { useUser } from '../lib/session'
import { useTopic } from '../lib/topics'

export type Conversation = Schemas['ConversationView']
type Pages = InfiniteData<Schemas['ConversationPage'], string | undefined>

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
      return data as Schemas['ConversationPage']
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
        const changed = { ...payload, id } as unknown as Conversation
        queries.setQueryData<Pages>(CONVERSATIONS, (pages) => withConversation(pages, changed))
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
  const known = pages.pages.flatMap((page) => page.items).find((one) => one.id === changed.id)
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
