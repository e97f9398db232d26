/** The user's conversations by their last activity. */
export function ConversationList() {
  return <nav />
}
