import { lazy } from 'react'
import { useLocation } from 'wouter'
import { useTexts } from '../i18n/texts'
import { PageTitle } from './PageTitle'

const ChatPane = lazy(() => import('../chat/ChatPane'))

/** A new conversation. It gets an address of its own with its first message. */
export function ChatPage() {
  const texts = useTexts()
  const [, navigate] = useLocation()
  return (
    <>
      <PageTitle title={texts.layout.newConversation} />
      <ChatPane conversationId={null} onConversation={(id) => navigate(`/c/${id}`, { replace: true })} />
    </>
  )
}
