import type { Root } from 'hast'
import { useEffect, useState } from 'react'

type Highlighter = Awaited<ReturnType<typeof load>>

/** A longer piece of code stays plain: its colours would hold up the page. */
const LONGEST = 20_000

async function load() {
  const { common, createLowlight } = await import('lowlight')
  return createLowlight(common)
}

let loading: Promise<Highlighter> | undefined
let loaded: Highlighter | undefined

/** The highlighter, or undefined until it is there; it is loaded when the first code with a language is shown. */
export function useHighlighter(isWanted: boolean): Highlighter | undefined {
  const [highlighter, setHighlighter] = useState(loaded)
  useEffect(() => {
    if (!isWanted || highlighter) return
    let isShown = true
    loading ??= load()
    loading.then(
      (one) => {
        loaded = one
        if (isShown) setHighlighter(one)
      },
      () => {
        loading = undefined // offline: the code stays plain, and the next one tries again
      },
    )
    return () => {
      isShown = false
    }
  }, [isWanted, highlighter])
  return highlighter
}

/** The code as a tree of spans with classes, or null where its language is not known. */
export function highlight(highlighter: Highlighter, code: string, language: string): Root | null {
  if (code.length > LONGEST || !highlighter.registered(language)) return null
  return highlighter.highlight(language, code)
}
