import { Search, X } from 'lucide-react'
import { type KeyboardEvent, type RefObject, useDeferredValue, useEffect, useRef, useState } from 'react'
import { useTexts } from '../i18n/texts'
import { useDeletions } from '../lib/deletions'
import { isComposing } from '../lib/keys'
import { useNow } from '../lib/now'
import { asProblem } from '../lib/problem'
import { Button, IconButton } from '../ui/Button'
import { EmptyState } from '../ui/EmptyState'
import { ProblemNotice } from '../ui/ProblemNotice'
import { SkeletonLines } from '../ui/Skeleton'
import { ConversationItem, pathOf, type Renaming } from './ConversationItem'
import styles from './ConversationList.module.css'
import { grouped } from './groups'
import { SearchResults } from './SearchResults'
import { useConversations } from './useConversations'

interface ConversationListProps {
  /** The open conversation. */
  current: string | null
  searchRef: RefObject<HTMLInputElement | null>
  /** Called when a conversation is opened. */
  onOpen?: () => void
}

/** The user's conversations by their last activity, or those that a search finds. */
export function ConversationList({ current, searchRef, onOpen }: ConversationListProps) {
  const texts = useTexts()
  const [query, setQuery] = useState('')
  const wanted = useDeferredValue(query.trim())
  const list = useRef<HTMLDivElement>(null)

  return (
    <div className={styles.place}>
      <search className={styles.search}>
        <Search size={16} aria-hidden="true" className={styles.glass} />
        <input
          ref={searchRef}
          type="text"
          inputMode="search"
          enterKeyHint="search"
          maxLength={200}
          className={styles.input}
          placeholder={texts.conversations.search}
          aria-label={texts.conversations.searchLabel}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={(event) => {
            if (isComposing(event)) return
            if (event.key === 'Escape' && query) {
              event.stopPropagation()
              setQuery('')
            }
            if (event.key === 'ArrowDown') moveFocus(event, list.current)
          }}
        />
        {query && (
          <IconButton
            label={texts.conversations.clearSearch}
            className={styles.clear}
            onClick={() => {
              setQuery('')
              searchRef.current?.focus()
            }}
          >
            <X size={14} aria-hidden="true" />
          </IconButton>
        )}
      </search>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: arrows only move between the links in it */}
      <div ref={list} className={styles.list} onKeyDown={(event) => moveFocus(event, list.current)}>
        {/\p{L}|\p{N}/u.test(wanted) ? (
          <SearchResults query={wanted} current={current} {...(onOpen && { onOpen })} />
        ) : (
          <ByActivity current={current} {...(onOpen && { onOpen })} />
        )}
      </div>
    </div>
  )
}

/** Moves the focus to the link above or below. */
function moveFocus(event: KeyboardEvent, list: HTMLElement | null): void {
  if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
  const links = [...(list?.querySelectorAll<HTMLElement>('a[href]') ?? [])]
  const at = links.indexOf(document.activeElement as HTMLElement)
  if (at === -1 && !(event.target instanceof HTMLInputElement && event.key === 'ArrowDown')) return
  const next = links[at + (event.key === 'ArrowDown' ? 1 : -1)]
  if (!next) return
  event.preventDefault()
  next.focus()
}

function ByActivity({ current, onOpen }: Pick<ConversationListProps, 'current' | 'onOpen'>) {
  const texts = useTexts()
  const now = useNow(60_000)
  const { isGoing } = useDeletions()
  const { conversations, isPending, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } =
    useConversations()
  const renaming = useRef<Renaming | null>(null)
  const end = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!end.current || !hasNextPage) return
    const seen = new IntersectionObserver(([entry]) => entry?.isIntersecting && void fetchNextPage(), {
      rootMargin: '400px',
    })
    seen.observe(end.current)
    return () => seen.disconnect()
  }, [hasNextPage, fetchNextPage])

  if (isPending) return <SkeletonLines count={6} />
  if (error && !conversations.length) return <ProblemNotice problem={asProblem(error)} onRetry={refetch} />
  const shown = conversations.filter((one) => !isGoing(pathOf(one.id)))
  if (!shown.length && !hasNextPage)
    return <EmptyState title={texts.conversations.empty} text={texts.conversations.emptyText} />
  return (
    <nav aria-label={texts.layout.conversations}>
      {grouped(shown, now).map(([name, members]) => (
        <section key={name} className={styles.group}>
          <h2 className={styles.day}>{texts.conversations[name]}</h2>
          <ul className={styles.items}>
            {members.map((one) => (
              <ConversationItem
                key={one.id}
                conversation={one}
                isCurrent={one.id === current}
                renaming={renaming}
                {...(onOpen && { onOpen })}
              />
            ))}
          </ul>
        </section>
      ))}
      {hasNextPage && (
        <div ref={end} className={styles.more}>
          <Button kind="quiet" busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {texts.common.more}
          </Button>
        </div>
      )}
    </nav>
  )
}
