import { forget, store, stored } from '../lib/stored'

// What was written and is not stored by the service yet is kept in the browser, for one user and one place (a conversation's
// id, `new`, an edit, a field): drafts until they are sent, messages until the API has them. In between the page may be
// left, or the session end: a message that has not arrived goes back into the composer.

/** The place of a conversation that is not made yet. */
export const NEW = 'new'

export const draftKey = (userId: string, place: string) => `draft.${userId}.${place}`

const unsentKey = (userId: string, place: string) => `unsent.${userId}.${place}`

/** Keeps a message that is on its way from this place; null: it has arrived, or has come back. */
export function keepUnsent(userId: string, place: string, text: string | null): void {
  store(unsentKey(userId, place), text)
}

/** The message that was on its way when the place was left; null: there is none. */
export function unsentOf(userId: string, place: string): string | null {
  return stored(unsentKey(userId, place))
}

/** Removes what a user has written in this browser and not sent, in one place or in all. */
export function forgetWritten(userId: string, place = ''): void {
  forget(draftKey(userId, place))
  forget(unsentKey(userId, place))
}

/** Makes the draft of a conversation that another device has deleted one of a new conversation, unless there is one. */
export function saveDraftOf(userId: string, conversationId: string): void {
  const text = stored(draftKey(userId, conversationId))
  if (text === null || stored(draftKey(userId, NEW)) !== null) return
  store(draftKey(userId, NEW), text)
  store(draftKey(userId, conversationId), null)
}
