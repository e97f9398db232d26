// The first message of a conversation is written on one page and sent by the next: the conversation is made in between,
// and with it the page's address changes.

const waiting = new Map<string, string>()

/** Leaves the first message of a conversation for the page that shows it. */
export function leaveFirstMessage(conversationId: string, text: string): void {
  waiting.set(conversationId, text)
}

/** Takes the message that was left for a conversation; undefined where there is none. */
export function takeFirstMessage(conversationId: string): string | undefined {
  const text = waiting.get(conversationId)
  waiting.delete(conversationId)
  return text
}

export const hasFirstMessage = (conversationId: string) => waiting.has(conversationId)
