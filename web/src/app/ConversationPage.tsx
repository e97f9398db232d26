import { lazy } from 'react'

const ChatPane = lazy(() => import('../chat/ChatPane'))

/** A stored conversation. */
export function ConversationPage({ id }: { id: string }) {
  return <ChatPane conversationId={id} onConversation={() => undefined} />
}
