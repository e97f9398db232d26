import { type RefObject, useEffect, useRef } from 'react'

/** Whether the component is gone, for what ends after it. */
export function useIsGone(): Readonly<RefObject<boolean>> {
  const isGone = useRef(false)
  useEffect(() => {
    isGone.current = false
    return () => {
      isGone.current = true
    }
  }, [])
  return isGone
}
