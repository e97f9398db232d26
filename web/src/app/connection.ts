import { useEffect, useState, useSyncExternalStore } from 'react'
import { useServices } from '../lib/services'

function subscribe(notify: () => void): () => void {
  window.addEventListener('online', notify)
  window.addEventListener('offline', notify)
  return () => {
    window.removeEventListener('online', notify)
    window.removeEventListener('offline', notify)
  }
}

export function useOnline(): boolean {
  return useSyncExternalStore(subscribe, () => navigator.onLine)
}

/** `back` is told for a moment after `offline`. */
export type Connection = 'online' | 'offline' | 'back' | 'slow' | 'draining'

const SLOW_MS = 4000
const BACK_MS = 4000

/** How the page is connected to the API, by what its own calls meet; see `watchedFetch`. */
export function useConnection(): Connection {
  const online = useOnline()
  const { traffic } = useServices()
  const [wasOffline, setWasOffline] = useState(false)
  const [slow, setSlow] = useState(false)
  const draining = useSyncExternalStore(traffic.subscribe, () => traffic.draining)
  useEffect(() => {
    if (!online) {
      setWasOffline(true)
      return
    }
    const timer = setTimeout(() => setWasOffline(false), BACK_MS)
    return () => clearTimeout(timer)
  }, [online])
  useEffect(() => {
    const timer = setInterval(() => setSlow(traffic.longest() > SLOW_MS), 500)
    return () => clearInterval(timer)
  }, [traffic])
  if (!online) return 'offline'
  if (draining) return 'draining'
  if (wasOffline) return 'back'
  return slow ? 'slow' : 'online'
}
