import type { Session, SupabaseClient } from '@supabase/supabase-js'
import { createContext, type ReactNode, useContext, useEffect, useState } from 'react'
import { useServices } from './services'

/** undefined: not known yet; null: nobody is signed in. */
type Known = Session | null | undefined

const SessionContext = createContext<Known>(undefined)
const ExpiredContext = createContext(false)

/** Knows who is signed in, in this and every other tab. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const { supabase } = useServices()
  const [session, setSession] = useState<Known>()
  const [hasExpired, setHasExpired] = useState(false)
  useEffect(() => {
    const { data } = supabase.auth.onAuthStateChange((event, now) => {
      setHasExpired(event === 'SIGNED_OUT' && !leaving.has(supabase))
      if (event === 'SIGNED_OUT') leaving.delete(supabase)
      // a renewed token is no news to the components
      setSession((before) => (before && now && before.user.id === now.user.id ? before : now))
    })
    return () => data.subscription.unsubscribe()
  }, [supabase])
  // components for signed-in users may be shown before it is known that one is
  if (session === undefined) return null
  return (
    <SessionContext value={session}>
      <ExpiredContext value={hasExpired}>{children}</ExpiredContext>
    </SessionContext>
  )
}

/** The clients that sign out because the user wants it. */
const leaving = new WeakSet<SupabaseClient>()

const lastActs = new Set<() => Promise<unknown>>()

/** Has something done, with the session, before the user's wish ends it. Returns the function that takes it back. */
export function beforeSigningOut(act: () => Promise<unknown>): () => void {
  lastActs.add(act)
  return () => void lastActs.delete(act)
}

/** Ends the session in this browser. */
export async function signOut(supabase: SupabaseClient): Promise<void> {
  await Promise.allSettled([...lastActs].map((act) => act()))
  leaving.add(supabase)
  await supabase.auth.signOut({ scope: 'local' })
}

/** Whether the session has ended without the user's wish: its time was over, or it was ended elsewhere. */
export function useHasExpired(): boolean {
  return useContext(ExpiredContext)
}

export function useSession(): Known {
  return useContext(SessionContext)
}

/** The signed-in user. Only for components that are shown to signed-in users. */
export function useUser() {
  const session = useContext(SessionContext)
  if (!session) throw new Error('useUser needs a signed-in user')
  return session.user
}
