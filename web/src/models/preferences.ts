import { useCallback, useMemo } from 'react'
import type { Schemas } from '../lib/api'
import { useUser } from '../lib/session'
import { store, stored, useStored } from '../lib/stored'

export type Reasoning = 'off' | 'low' | 'medium' | 'high'

/** What the user wants of the next messages. null: the service decides. */
export interface Preferences {
  model: Schemas['DefaultView'] | null
  reasoning: Reasoning | null
  useDocuments: boolean | null
}

const NONE: Preferences = { model: null, reasoning: null, useDocuments: null }

/** The preferences, kept in the browser for each of its users, and a function that changes some of them. */
export function usePreferences(): [Preferences, (changes: Partial<Preferences>) => void] {
  const key = `preferences.${useUser().id}`
  const [text] = useStored(key)
  const preferences = useMemo(() => parse(text), [text])
  // on top of what is kept now, which may be newer than what was rendered
  const change = useCallback(
    (changes: Partial<Preferences>) => store(key, JSON.stringify({ ...parse(stored(key)), ...changes })),
    [key],
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
