import type { KeyboardEvent } from 'react'

/**
 * Whether a key belongs to an input method, which composes with Enter and Escape too. Safari says of the Enter that ends a
 * composition that it is none, but keeps its old code.
 */
export function isComposing(event: KeyboardEvent): boolean {
  return event.nativeEvent.isComposing || event.keyCode === 229
}
