import { type InfiniteData, useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useRef, useState } from 'react'
import { useUser } from './session'
import { useReread, useTopic } from './topics'

/** A page of a list, as the API answers with it. */
export interface Page<Item> {
  items: Item[]
  next_cursor: string | null
}

export type Pages<Item> = InfiniteData<Page<Item>, string | undefined>

interface Given<Item> {
  /** Its name in the cache. */
  name: readonly string[]
  read: (cursor: string | undefined, signal: AbortSignal) => Promise<Page<Item>>
  /** The pages after an event: the same where it is not about them, null where they have to be read anew. */
  apply: (pages: Pages<Item>, event: string, payload: Record<string, unknown>) => Pages<Item> | null
  /** How often the list is read while Realtime is away, in milliseconds. */
  without: number
}

const MOST_TRIES = 5

/** A list of the user's, page by page, kept up to date by the events of their topic. */
export function useLivePages<Item extends { id: string }>({ name, read, apply, without }: Given<Item>) {
  const user = useUser()
  const queries = useQueryClient()
  const [live, setLive] = useState(true)
  const heard = useRef(0)
  const reread = () => void queries.invalidateQueries({ queryKey: name, exact: true })

  const query = useInfiniteQuery({
    queryKey: name,
    queryFn: async ({ pageParam, signal }) => {
      for (let tries = 1; ; tries += 1) {
        const before = heard.current
        const page = await read(pageParam, signal)
        // what was read while an event came may be older than the event
        if (before === heard.current || tries === MOST_TRIES) return page
      }
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: live ? false : without,
  })

  const rereadTold = useReread(reread)
  useTopic(`user:${user.id}`, {
    joined: () => {
      setLive(true)
      reread()
    },
    left: () => setLive(false),
    event: (event, payload) => {
      const before = queries.getQueryData<Pages<Item>>(name)
      const after = apply(
        before ?? { pages: [{ items: [], next_cursor: null }], pageParams: [undefined] },
        event,
        payload,
      )
      if (after === before) return
      heard.current += 1
      if (after && before) queries.setQueryData(name, after)
      // pages that are being read may be older than the event, too
      if (!after || queries.isFetching({ queryKey: name, exact: true })) rereadTold()
    },
  })

  const items = useMemo(() => {
    const seen = new Set<string>()
    // a page that is read later may repeat one that has moved meanwhile
    return (query.data?.pages ?? [])
      .flatMap((page) => page.items)
      .filter((one) => !seen.has(one.id) && seen.add(one.id))
  }, [query.data])
  return { ...query, items }
}

export function find<Item extends { id: string }>(pages: Pages<Item>, id: string): Item | undefined {
  return pages.pages.flatMap((page) => page.items).find((one) => one.id === id)
}

/** The pages with something done to the items of each. */
export function mapItems<Item>(pages: Pages<Item>, change: (items: Item[]) => Item[]): Pages<Item> {
  return { ...pages, pages: pages.pages.map((page) => ({ ...page, items: change(page.items) })) }
}
