import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { Link, useSearch } from 'wouter'
import { useLanguage } from '../i18n/texts'
import { useDeletions } from '../lib/deletions'
import { ago } from '../lib/format'
import { useNow } from '../lib/now'
import { asProblem } from '../lib/problem'
import { useServices } from '../lib/services'
import { Button } from '../ui/Button'
import { EmptyState } from '../ui/EmptyState'
import { ProblemNotice } from '../ui/ProblemNotice'
import { SkeletonLines } from '../ui/Skeleton'
import { pathOf } from './ConversationItem'
import styles from './SearchResults.module.css'
import { Snippet } from './Snippet'
import { titleOf } from './title'

const PAUSE_MS = 200

/** What a search over all conversations finds, the best first. A hit opens at its message. */
export function SearchResults(props: { query: string; current: string | null; onOpen?: () => void }) {
  const { texts, language } = useLanguage()
  const { api } = useServices()
  const { isGoing } = useDeletions()
  const now = useNow(60_000)
  const found = new URLSearchParams(useSearch()).get('m')
  const query = useSettled(props.query, PAUSE_MS)
  const search = useInfiniteQuery({
    queryKey: ['conversations', 'search', query],
    queryFn: async ({ pageParam, signal }) => {
      const { data } = await api.GET('/v1/conversations', {
        params: { query: { q: query, limit: 20, ...(pageParam && { cursor: pageParam }) } },
        signal,
      })
      if (!data) throw new Error('no answer')
      return data
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: 0,
  })

  if (search.isPending) return <SkeletonLines count={4} />
  if (search.error) return <ProblemNotice problem={asProblem(search.error)} onRetry={search.refetch} />
  const hits = search.data.pages.flatMap((page) => page.items).filter((one) => !isGoing(pathOf(one.id)))
  return (
    <>
      <p role="status" className={styles.count}>
        {hits.length ? texts.conversations.found(hits.length, search.hasNextPage) : texts.conversations.nothingFound}
      </p>
      {!hits.length && <EmptyState text={texts.conversations.nothingFoundText} />}
      <ul className={styles.hits}>
        {hits.map(({ hit, ...one }) => (
          <li key={`${one.id} ${hit?.message_id}`}>
            <Link
              href={`/c/${one.id}${hit?.message_id ? `?m=${hit.message_id}` : ''}`}
              className={styles.hit}
              aria-current={one.id === props.current && (hit?.message_id ?? null) === found ? 'page' : undefined}
              onClick={() => props.onOpen?.()}
            >
              <span className={styles.title} dir="auto">
                {titleOf(one, texts)}
              </span>
              {hit && (
                <>
                  <span className={styles.snippet} dir="auto">
                    <Snippet html={hit.snippet} />
                  </span>
                  <span className={styles.where}>
                    {hit.role === null
                      ? texts.conversations.inTitle
                      : hit.role === 'user'
                        ? texts.conversations.you
                        : texts.conversations.reply}
                    {' · '}
                    {ago(hit.written_at, now, language)}
                  </span>
                </>
              )}
            </Link>
          </li>
        ))}
      </ul>
      {search.hasNextPage && (
        <Button kind="quiet" busy={search.isFetchingNextPage} onClick={() => void search.fetchNextPage()}>
          {texts.common.more}
        </Button>
      )}
    </>
  )
}

/** A value once it has not changed for a moment. */
function useSettled(value: string, milliseconds: number): string {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds)
    return () => clearTimeout(timer)
  }, [value, milliseconds])
  return settled
}
