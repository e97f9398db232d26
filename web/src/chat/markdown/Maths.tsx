import { memo, useEffect, useRef } from 'react'
import styles from './Markdown.module.css'

type Katex = typeof import('katex').default

async function load(): Promise<Katex> {
  const [{ default: katex }] = await Promise.all([import('katex'), import('katex/dist/katex.min.css')])
  return katex
}

let loading: Promise<Katex> | undefined

/** A formula, set by KaTeX, which is loaded with the first one. Until then, and where it is no TeX, its source is shown. */
export const Maths = memo(function Maths({ tex, isDisplay }: { tex: string; isDisplay: boolean }) {
  const place = useRef<HTMLElement>(null)
  useEffect(() => {
    let isShown = true
    loading ??= load()
    loading.then(
      (katex) => {
        if (isShown && place.current) set(katex, place.current, tex, isDisplay)
      },
      () => {
        loading = undefined // offline: the source stays, and the next formula tries again
      },
    )
    return () => {
      isShown = false
    }
  }, [tex, isDisplay])
  return (
    <span
      ref={place}
      className={isDisplay ? styles.display : styles.inline}
      role="math"
      aria-label={tex}
      // a wide formula scrolls, by keyboard too
      tabIndex={isDisplay ? 0 : undefined}
      data-tex={tex}
    />
  )
})

// KaTeX makes nodes and sets their styles one by one, which a page without inline styles allows; its HTML as a string
// would have them as attributes. Its MathML has a few as attributes too, so there is none of it: the TeX is the name.
function set(katex: Katex, place: HTMLElement, tex: string, isDisplay: boolean): void {
  try {
    katex.render(tex, place, {
      displayMode: isDisplay,
      output: 'html',
      trust: false, // no \href, \includegraphics, \htmlStyle
      strict: 'ignore',
      maxExpand: 200,
      maxSize: 20,
    })
  } catch {
    place.textContent = tex
  }
}
