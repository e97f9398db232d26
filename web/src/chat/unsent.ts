import { store, stored } from '../lib/stored'

// A message leaves the composer when it is sent, and is safe once the API has it. In between the page may be left, or the
// session end: so it is kept in the browser, and goes back into the composer where it has not arrived.

const keyOf = (userId: string, place: string) => `unsent.${userId}.${place}`

/** Keeps a message that is on its way from this place (a conversation's id, or `new`); null: it has arrived, or has come back. */
export function keepUnsent(userId: string, place: string, text: string | null): void {
  store(keyOf(userId, place), text)
}

/** The message that was on its way when the place was left; null: there is none. */
export function unsentOf(userId: string, place: string): string | null {
  return stored(keyOf(userId, place))
}
