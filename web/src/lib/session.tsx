import type { Session } from '@supabase/supabase-js'
import { createContext, type ReactNode, useContext, useEffect, useState } from 'react'
import { useServices } from './services'

/** undefined: not known yet; null: nobody is signed in. */
type Known = Session | null | undefined

const SessionContext = createContext<Known>(undefined)

/** Knows who is signed in, in this and every other tab. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const { supabase } = useServices()
  const [session, setSession] = useState<Known>()
  useEffect(() => {
    const { data } = supabase.auth.onAuthStateChange((_, now) => {
      // a renewed token is no news to the components
      setSession((before) => (before && now && before.user.id === now.user.id ? before : now))
    })
    return () => data.subscription.unsubscribe()
  }, [supabase])
  return <SessionContext value={session}>{children}</SessionContext>
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
