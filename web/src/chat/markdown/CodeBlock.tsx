import type { RootContent } from 'hast'
import { memo, type ReactNode, useMemo } from 'react'
import { CopyButton } from '../CopyButton'
import { highlight, useHighlighter } from './highlight'
import styles from './Markdown.module.css'
import { ScrollRegion } from './ScrollRegion'

/** Code with its language and a copy button; long lines scroll. */
export const CodeBlock = memo(function CodeBlock({
  code,
  language,
  isOpen,
}: {
  code: string
  language: string
  /** Whether it is still being written: it gets its colours when it is whole. */
  isOpen: boolean
}) {
  const name = language.toLowerCase()
  const highlighter = useHighlighter(name !== '')
  const tree = useMemo(
    () => (highlighter && !isOpen ? highlight(highlighter, code, name) : null),
    [highlighter, isOpen, code, name],
  )
  return (
    <figure className={styles.code}>
      <figcaption>
        <span>{language}</span>
        <CopyButton text={code} what="code" />
      </figcaption>
      <ScrollRegion kind="code">
        <pre>
          <code>{tree ? tree.children.map(spans) : code}</code>
        </pre>
      </ScrollRegion>
    </figure>
  )
})

function spans(node: RootContent, key: number): ReactNode {
  if (node.type === 'text') return node.value
  if (node.type !== 'element') return null
  const classes = node.properties.className
  return (
    <span key={key} className={Array.isArray(classes) ? classes.join(' ') : undefined}>
      {node.children.map(spans)}
    </span>
  )
}
