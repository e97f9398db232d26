import { useEffect, useState } from 'react'
import { store, stored } from '../lib/stored'

interface Seen {
  begun: number
  seconds: number
}

const KEY = 'thinking'
/** Of so many replies the newest are remembered. */
const MOST = 100

function readAll(): Record<string, Seen> {
  try {
    return JSON.parse(stored(KEY) ?? '{}') as Record<string, Seen>
  } catch {
    return {}
  }
}

function remember(replyId: string, begun: number): number {
  const { [replyId]: known, ...others } = readAll()
  const since = known?.begun ?? begun
  const seconds = Math.max(0, Math.round((Date.now() - since) / 1000))
  const kept = Object.entries(others).slice(1 - MOST)
  store(KEY, JSON.stringify({ ...Object.fromEntries(kept), [replyId]: { begun: since, seconds } }))
  return seconds
}

/** For how many seconds a reply that is not over has thought, also after a reload; null where nobody here has seen it. */
export function useThinkingSeconds(replyId: string, isThinking: boolean): number | null {
  const [seconds, setSeconds] = useState<number | null>(() => readAll()[replyId]?.seconds ?? null)
  useEffect(() => {
    if (!isThinking) return
    const begun = Date.now()
    const measure = () => setSeconds(remember(replyId, begun))
    measure()
    const timer = setInterval(measure, 1000)
    return () => {
      clearInterval(timer)
      measure()
    }
  }, [replyId, isThinking])
  return seconds
}
