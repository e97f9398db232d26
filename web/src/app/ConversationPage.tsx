import { useQuery, useQueryClient } from '@tanstack/react-query'
import { lazy, useEffect } from 'react'
import { useSearch } from 'wouter'
import { saveDraftOf } from '../chat/written'
import { titleOf } from '../conversations/title'
import { useTexts } from '../i18n/texts'
import { asProblem } from '../lib/problem'
import { useServices } from '../lib/services'
import { useUser } from '../lib/session'
import { useReread, useTopic } from '../lib/topics'
import { NotFoundPage } from './NotFoundPage'
import { PageTitle } from './PageTitle'

const ChatPane = lazy(() => import('../chat/ChatPane'))

/** A stored conversation. */
export function ConversationPage({ id }: { id: string }) {
  const texts = useTexts()
  const { api } = useServices()
  const queries = useQueryClient()
  const search = useSearch()
  const user = useUser()
  const reread = useReread(() => void queries.invalidateQueries({ queryKey: ['conversation', id] }))
  useTopic(`user:${user.id}`, {
    event(event, payload) {
      if (payload.conversation_id !== id) return
      if (event === 'conversation.deleted' || event === 'conversation.updated') reread()
    },
  })
  const { data, error } = useQuery({
    queryKey: ['conversation', id],
    queryFn: async ({ signal }) => {
      const { data } = await api.GET('/v1/conversations/{conversation_id}', {
        params: { path: { conversation_id: id } },
        signal,
      })
      return data ?? null
    },
  })
  const isGone = error !== null && asProblem(error).code === 'not_found'
  useEffect(() => {
    // the composer has gone by now, and left what was written
    if (isGone) saveDraftOf(user.id, id)
  }, [isGone, user.id, id])
  if (isGone) return <NotFoundPage />
  const title = data ? titleOf(data, texts) : undefined
  return (
    <>
      <PageTitle {...(title && { title })} />
      <h1 className="visually-hidden">{title ?? texts.common.loading}</h1>
      <ChatPane
        conversationId={id}
        messageId={new URLSearchParams(search).get('m')}
        onConversation={() => void queries.invalidateQueries({ queryKey: ['conversation', id] })}
      />
    </>
  )
}
