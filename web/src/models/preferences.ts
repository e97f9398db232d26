import { useCallback, useMemo } from 'react'
import type { Schemas } from '../lib/api'
import { useStored } from '../lib/stored'

export type Reasoning = 'off' | 'low' | 'medium' | 'high'

/** What the user wants of the next messages. null: the service decides. */
export interface Preferences {
  model: Schemas['DefaultView'] | null
  reasoning: Reasoning | null
  useDocuments: boolean | null
}

const NONE: Preferences = { model: null, reasoning: null, useDocuments: null }

/** The preferences, kept in the browser, and a function that changes some of them. */
export function usePreferences(): [Preferences, (changes: Partial<Preferences>) => void] {
  const [stored, setStored] = useStored('preferences')
  const preferences = useMemo(() => parse(stored), [stored])
  const change = useCallback(
    (changes: Partial<Preferences>) => setStored(JSON.stringify({ ...parse(stored), ...changes })),
    [stored, setStored],
  )
  return [preferences, change]
}

function parse(stored: string | null): Preferences {
  try {
    return { ...NONE, ...(JSON.parse(stored ?? '{}') as Partial<Preferences>) }
  } catch {
    return NONE
  }
}
