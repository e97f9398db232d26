import { type RefObject, useEffect, useLayoutEffect, useRef } from 'react'

/**
 * Keeps the focus in a list whose rows come and go: where what has it goes or can be used no more, what has the same name in
 * the row of that place gets it, else the list.
 */
export function useKeptFocus(list: RefObject<HTMLElement | null>): void {
  const held = useRef<{ element: HTMLElement; row: string | undefined; name: string | null } | null>(null)
  useEffect(() => {
    const onFocus = ({ target }: FocusEvent) => {
      const isInside = target instanceof HTMLElement && target !== list.current && list.current?.contains(target)
      held.current = isInside
        ? { element: target, row: target.closest<HTMLElement>('[data-index]')?.dataset.index, name: target.ariaLabel }
        : null
    }
    document.addEventListener('focusin', onFocus)
    return () => document.removeEventListener('focusin', onFocus)
  }, [list])
  useLayoutEffect(() => {
    if (!held.current) return
    const { element, row, name } = held.current
    const isElsewhere = document.activeElement !== document.body && document.activeElement !== element
    if (isElsewhere || (element.isConnected && !element.matches(':disabled'))) return
    const alike = [...(list.current?.querySelectorAll<HTMLElement>(`[data-index="${row}"] button:enabled`) ?? [])]
    const next = alike.find((one) => name !== null && one.ariaLabel === name) ?? list.current
    next?.focus({ preventScroll: true })
  })
}
