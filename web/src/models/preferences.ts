import { useCallback, useMemo } from 'react'
import type { Schemas } from '../lib/api'
import { store, stored, useStored } from '../lib/stored'

export type Reasoning = 'off' | 'low' | 'medium' | 'high'

/** What the user wants of the next messages. null: the service decides. */
export interface Preferences {
  model: Schemas['DefaultView'] | null
  reasoning: Reasoning | null
  useDocuments: boolean | null
}

const KEY = 'preferences'
const NONE: Preferences = { model: null, reasoning: null, useDocuments: null }

/** The preferences, kept in the browser, and a function that changes some of them. */
export function usePreferences(): [Preferences, (changes: Partial<Preferences>) => void] {
  const [text] = useStored(KEY)
  const preferences = useMemo(() => parse(text), [text])
  // on top of what is kept now, which may be newer than what was rendered
  const change = useCallback(
    (changes: Partial<Preferences>) => store(KEY, JSON.stringify({ ...parse(stored(KEY)), ...changes })),
    [],
  )
  return [preferences, change]
}

function parse(text: string | null): Preferences {
  try {
    return { ...NONE, ...(JSON.parse(text ?? '{}') as Partial<Preferences>) }
  } catch {
    return NONE
  }
}
