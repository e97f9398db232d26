import { forget, store, stored } from '../lib/stored'

// What was written and is not stored by the service yet is kept in the browser, for one user and one place (a conversation's
// id, `new`, an edit, a field): drafts until they are sent, messages until the API has them. In between the page may be
// left, or the session end: a message that has not arrived goes back into the composer.

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

/** Removes all that a user has written in this browser and not sent. */
export function forgetWritten(userId: string): void {
  forget(draftKey(userId, ''))
  forget(unsentKey(userId, ''))
}
