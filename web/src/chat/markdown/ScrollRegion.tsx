import { type ReactNode, useLayoutEffect, useRef, useState } from 'react'
import { useTexts } from '../../i18n/texts'
import styles from './Markdown.module.css'

/** Something that may be wider than the page. It can be focused, and so scrolled by keyboard, where it is. */
export function ScrollRegion({ kind, children }: { kind: 'code' | 'table'; children: ReactNode }) {
  const texts = useTexts()
  const place = useRef<HTMLElement>(null)
  const [isWide, setIsWide] = useState(false)
  useLayoutEffect(() => {
    const element = place.current
    if (!element) return
    const observer = new ResizeObserver(() => setIsWide(element.scrollWidth > element.clientWidth + 1))
    observer.observe(element)
    if (element.firstElementChild) observer.observe(element.firstElementChild)
    return () => observer.disconnect()
  }, [])
  return (
    <section
      ref={place}
      className={styles.scroll}
      tabIndex={isWide ? 0 : undefined}
      aria-label={isWide ? texts.chat.scrolls[kind] : undefined}
    >
      {children}
    </section>
  )
}
