import { useCallback, useSyncExternalStore } from 'react'

const changed = new EventTarget()

/** What is kept under `parley.{key}`; null: nothing. */
export function stored(key: string): string | null {
  try {
    return localStorage.getItem(`parley.${key}`)
  } catch {
    return null // storage is refused: nothing is kept
  }
}

/** Keeps `value` under `parley.{key}` for the next visit; null removes it. */
export function store(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`parley.${key}`)
    else localStorage.setItem(`parley.${key}`, value)
  } catch {
    // storage is refused or full: the value is lost with the page
  }
  changed.dispatchEvent(new Event(key))
}

/** Removes all that is kept under names that begin so. */
export function forget(start: string): void {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(`parley.${start}`))
    for (const name of names) store(name.slice('parley.'.length), null)
  } catch {
    // storage is refused: nothing is kept
  }
}

/** A text that is kept in the browser, the same in all components and tabs; null: none is kept. */
export function useStored(key: string): [string | null, (value: string | null) => void] {
  const subscribe = useCallback(
    (notify: () => void) => {
      changed.addEventListener(key, notify)
      window.addEventListener('storage', notify)
      return () => {
        changed.removeEventListener(key, notify)
        window.removeEventListener('storage', notify)
      }
    },
    [key],
  )
  const value = useSyncExternalStore(subscribe, () => stored(key))
  const set = useCallback((next: string | null) => store(key, next), [key])
  return [value, set]
}
