import { type InfiniteData, useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { Schemas } from '../lib/api'
import { useServices } from '../lib/services'
import { useUser } from '../lib/session'
import { useTopic } from '../lib/topics'

export type Document = Schemas['DocumentView']
type Pages = InfiniteData<Schemas['DocumentPage'], string | undefined>

export const DOCUMENTS = ['documents'] as const
const WITHOUT_REALTIME_MS = 3000

/** The user's documents, the newest first, page by page. Realtime tells how far each is. */
export function useDocuments() {
  const { api } = useServices()
  const user = useUser()
  const queries = useQueryClient()
  const [live, setLive] = useState(true)
  const query = useInfiniteQuery({
    queryKey: DOCUMENTS,
    queryFn: async ({ pageParam, signal }) => {
      const { data } = await api.GET('/v1/documents', {
        params: { query: { ...(pageParam && { cursor: pageParam }) } },
        signal,
      })
      return data as Schemas['DocumentPage']
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: live ? false : WITHOUT_REALTIME_MS,
  })
  useTopic(`user:${user.id}`, {
    joined: () => {
      setLive(true)
      void queries.invalidateQueries({ queryKey: DOCUMENTS })
    },
    left: () => setLive(false),
    event: (event, payload) => {
      if (event !== 'document') return
      const { document_id: id, ...progress } = payload
      const pages = queries.getQueryData<Pages>(DOCUMENTS)
      const isKnown = pages?.pages.some((page) => page.items.some((one) => one.id === id))
      // another device has added it, or its end has facts that the event lacks
      if (!isKnown || progress.status === 'ready') void queries.invalidateQueries({ queryKey: DOCUMENTS })
      else queries.setQueryData<Pages>(DOCUMENTS, (before) => withProgress(before, String(id), progress))
    },
  })
  return { ...query, documents: query.data?.pages.flatMap((page) => page.items) ?? [] }
}

function withProgress(pages: Pages | undefined, id: string, progress: Partial<Document>): Pages | undefined {
  if (!pages) return pages
  return {
    ...pages,
    pages: pages.pages.map((page) => ({
      ...page,
      items: page.items.map((one) => (one.id === id ? { ...one, ...progress } : one)),
    })),
  }
}
