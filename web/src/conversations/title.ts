import type { Texts } from '../i18n/texts'
import type { Conversation } from './useConversations'

/** What a conversation is called where it has no title yet: how it begins. */
export function titleOf(conversation: Pick<Conversation, 'title' | 'preview'>, texts: Texts): string {
  return conversation.title ?? conversation.preview?.slice(0, 60) ?? texts.conversations.untitled
}
