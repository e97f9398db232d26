import { lazy } from 'react'
import { useLocation } from 'wouter'

const ChatPane = lazy(() => import('../chat/ChatPane'))

/** A new conversation. It gets an address of its own with its first message. */
export function ChatPage() {
  const [, navigate] = useLocation()
  return <ChatPane conversationId={null} onConversation={(id) => navigate(`/c/${id}`, { replace: true })} />
}
