import { useQueryClient } from '@tanstack/react-query'
import { Braces, Ellipsis, FileText, Pencil, Trash2 } from 'lucide-react'
import { type KeyboardEvent, memo, type RefObject, useLayoutEffect, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { Link, useLocation } from 'wouter'
import { forgetWritten } from '../chat/written'
import { useTexts } from '../i18n/texts'
import { useDeletions } from '../lib/deletions'
import { download } from '../lib/download'
import { isComposing } from '../lib/keys'
import type { Pages } from '../lib/livePages'
import { asProblem, problemOf } from '../lib/problem'
import { useServices } from '../lib/services'
import { useUser } from '../lib/session'
import { writes } from '../lib/writes'
import { IconButton } from '../ui/Button'
import { Menu, MenuItem } from '../ui/Menu'
import { useTell } from '../ui/Toasts'
import styles from './ConversationItem.module.css'
import { titleOf } from './title'
import { CONVERSATIONS, type Conversation, titleOfId, withTitle } from './useConversations'

/** The path of a conversation in the API. */
export function pathOf(id: string): string {
  return `/v1/conversations/${id}`
}

/** A title that is being written. It outlives its row, which comes anew under another day when its conversation goes on. */
export interface Renaming {
  id: string
  text: string
}

interface ConversationItemProps {
  conversation: Conversation
  isCurrent: boolean
  /** Shared by all rows. */
  renaming: RefObject<Renaming | null>
  onOpen?: () => void
}

/** One conversation in the list: opens it, renames, exports and deletes it. */
export const ConversationItem = memo(function ConversationItem({
  conversation,
  isCurrent,
  renaming,
  onOpen,
}: ConversationItemProps) {
  const texts = useTexts()
  const { authorized } = useServices()
  const user = useUser()
  const { remove } = useDeletions()
  const [, navigate] = useLocation()
  const tell = useTell()
  const { id } = conversation
  const [isRenaming, setIsRenaming] = useState(() => renaming.current?.id === id)
  const link = useRef<HTMLAnchorElement>(null)
  const title = titleOf(conversation, texts)
  const rename = () => {
    renaming.current = { id, text: title }
    setIsRenaming(true)
  }

  const drop = () => {
    const address = window.location.pathname
    remove(pathOf(id), texts.conversations.deleted(title), {
      onUndo: () => isCurrent && navigate(address),
      onDone: () => forgetWritten(user.id, id),
    })
    if (isCurrent) return navigate('/')
    const links = [...(link.current?.closest('nav')?.querySelectorAll('a') ?? [])]
    const at = links.indexOf(link.current as HTMLAnchorElement)
    requestAnimationFrame(() => (links[at + 1] ?? links[at - 1])?.focus())
  }
  const save = async (format: 'markdown' | 'json') => {
    try {
      const answer = await authorized(`${pathOf(id)}/export?format=${format}`)
      if (!answer.ok) throw await problemOf(answer)
      await download(answer, `${title}.${format === 'markdown' ? 'md' : 'json'}`)
    } catch (error) {
      tell(texts.problems[asProblem(error).code].title)
    }
  }
  const pressed = (event: KeyboardEvent) => {
    if (event.key === 'F2') rename()
    else if (event.key === 'Delete' || (event.key === 'Backspace' && event.metaKey)) drop()
    else return
    event.preventDefault()
  }

  return (
    <li className={`${styles.item} ${isCurrent && !isRenaming ? styles.current : ''}`}>
      {isRenaming ? (
        <Rename
          conversation={conversation}
          renaming={renaming}
          onDone={(isByKey) => {
            renaming.current = null
            flushSync(() => setIsRenaming(false))
            // at once, before the drawer takes it; who has gone elsewhere stays there
            if (isByKey) link.current?.focus()
          }}
        />
      ) : (
        <Link
          ref={link}
          href={`/c/${id}`}
          className={styles.link}
          aria-current={isCurrent ? 'page' : undefined}
          onClick={() => onOpen?.()}
          onKeyDown={pressed}
          title={title}
          dir="auto"
        >
          {title}
        </Link>
      )}
      {/* there while renaming, too: a menu that goes with what opened it gives the focus to whatever had it before */}
      <Menu
        label={texts.conversations.actions(title)}
        trigger={
          <IconButton label={texts.conversations.actions(title)} className={styles.actions}>
            <Ellipsis size={16} aria-hidden="true" />
          </IconButton>
        }
      >
        <MenuItem icon={<Pencil size={16} aria-hidden="true" />} onSelect={rename}>
          {texts.conversations.rename}
        </MenuItem>
        <MenuItem icon={<FileText size={16} aria-hidden="true" />} onSelect={() => void save('markdown')}>
          {texts.conversations.exportMarkdown}
        </MenuItem>
        <MenuItem icon={<Braces size={16} aria-hidden="true" />} onSelect={() => void save('json')}>
          {texts.conversations.exportJson}
        </MenuItem>
        <MenuItem danger icon={<Trash2 size={16} aria-hidden="true" />} onSelect={drop}>
          {texts.common.delete}
        </MenuItem>
      </Menu>
    </li>
  )
})

/** The title as a field. Enter and leaving it keep what was written, Escape does not. */
function Rename({
  conversation,
  renaming,
  onDone,
}: Pick<ConversationItemProps, 'conversation' | 'renaming'> & { onDone: (isByKey: boolean) => void }) {
  const texts = useTexts()
  const { api } = useServices()
  const queries = useQueryClient()
  const tell = useTell()
  const isOver = useRef(false)
  const before = titleOf(conversation, texts)
  const isUntouched = useRef(renaming.current?.text === before)
  const field = useRef<HTMLInputElement>(null)
  useLayoutEffect(() => {
    const input = field.current
    if (!input) return
    input.focus()
    // the whole title gives way to what is typed, but what was typed does not
    input.setSelectionRange(isUntouched.current ? 0 : input.value.length, input.value.length)
  }, [])

  const end = async (written: string | null, isByKey = true) => {
    if (isOver.current) return
    isOver.current = true
    onDone(isByKey)
    const title = written?.trim()
    if (!title || title === before) return
    const { id } = conversation
    try {
      await writes.write<string | null>(titleOfId(id), {
        stored: conversation.title,
        wanted: title,
        show: (shown) =>
          queries.setQueryData<Pages<Conversation>>(CONVERSATIONS, (pages) => pages && withTitle(pages, id, shown)),
        send: () =>
          api.PATCH('/v1/conversations/{conversation_id}', {
            params: { path: { conversation_id: id } },
            body: { title },
          }),
      })
    } catch (error) {
      tell(texts.problems[asProblem(error).code].title)
    }
    void queries.invalidateQueries({ queryKey: CONVERSATIONS })
    void queries.invalidateQueries({ queryKey: ['conversation', id] })
  }
  return (
    <input
      className={styles.rename}
      aria-label={texts.conversations.renameLabel}
      defaultValue={renaming.current?.text ?? before}
      dir="auto"
      maxLength={200}
      ref={field}
      onChange={(event) => {
        renaming.current = { id: conversation.id, text: event.target.value }
      }}
      onBlur={(event) => void end(event.target.value, false)}
      onKeyDown={(event) => {
        if (isComposing(event)) return
        if (event.key === 'Enter') void end(event.currentTarget.value)
        if (event.key === 'Escape') void end(null)
        event.stopPropagation()
      }}
    />
  )
}
