import { useCallback, useEffect, useRef, useState } from 'react'
import { useIsGone } from '../lib/gone'
import { store, stored } from '../lib/stored'
import { draftKey } from './written'

const PAUSE_MS = 300

/** A text that survives a reload and an expired session: it is kept in the browser, for one user and one place. */
export function useDraft(userId: string, place: string): [string, (text: string) => void] {
  const key = draftKey(userId, place)
  const [text, setText] = useState(() => stored(key) ?? '')
  const unsaved = useRef<string | null>(null)
  const isGone = useIsGone()
  const save = useCallback(() => {
    if (unsaved.current === null) return
    store(key, unsaved.current || null)
    unsaved.current = null
  }, [key])
  useEffect(() => {
    window.addEventListener('pagehide', save)
    return () => {
      window.removeEventListener('pagehide', save)
      save()
    }
  }, [save])
  useEffect(() => {
    if (unsaved.current === null) return
    const timer = setTimeout(save, text ? PAUSE_MS : 0)
    return () => clearTimeout(timer)
  }, [text, save])
  const change = useCallback(
    (next: string) => {
      unsaved.current = next
      setText(next)
      if (isGone.current) save()
    },
    [save],
  )
  return [text, change]
}
