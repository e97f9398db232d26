import { useEffect, useState } from 'react'

/** Whole seconds that are left until `until`, in milliseconds of `Date.now()`; 0 afterwards, and where there is none. */
export function useCountdown(until: number | null): number {
  const [now, setNow] = useState(Date.now)
  const left = until === null ? 0 : Math.max(0, Math.ceil((until - now) / 1000))
  useEffect(() => {
    if (until === null) return
    setNow(Date.now())
    const timer = setInterval(() => setNow(Date.now()), 250)
    return () => clearInterval(timer)
  }, [until])
  return left
}
