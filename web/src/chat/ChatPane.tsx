/** The conversation with its composer. `conversationId` is null before the first message of a new one. */
export default function ChatPane({
  conversationId,
}: {
  conversationId: string | null
  /** Called once the first message has made the conversation. */
  onConversation: (id: string) => void
}) {
  return <p>{conversationId ?? ''}</p>
}
