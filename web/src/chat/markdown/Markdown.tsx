import type { Token } from 'marked'
import { memo, useRef } from 'react'
import styles from './Markdown.module.css'
import { advance, type Block, closeLast, NOTHING, type Parsed } from './parse'
import { renderBlock } from './render'

/** Texts that were read before, so that scrolling back to a message does not read it again. */
const known = new Map<string, Parsed>()
const MOST_KNOWN = 200

function parsedOf(text: string): Parsed {
  const parsed = known.get(text) ?? advance(NOTHING, text)
  known.delete(text)
  known.set(text, parsed)
  if (known.size > MOST_KNOWN) known.delete(known.keys().next().value ?? '')
  return parsed
}

/** A text in Markdown. While it grows, only its last block is read and rendered again. */
export const Markdown = memo(function Markdown({
  text,
  isOpen,
  sources,
}: {
  text: string
  /** Whether it is still being written. */
  isOpen: boolean
  /** How many sources `[1]` may name. */
  sources: number
}) {
  const before = useRef(NOTHING)
  const parsed = isOpen ? advance(before.current, text) : parsedOf(text)
  before.current = parsed
  const blocks = isOpen ? closeLast(parsed) : parsed.blocks
  const headings = depthsOf(blocks)
  return (
    <div className={styles.markdown}>
      {blocks.map(({ token }, index) => (
        <MarkdownBlock
          // biome-ignore lint/suspicious/noArrayIndexKey: blocks are only ever added at the end
          key={index}
          token={token}
          headings={headings}
          isOpen={isOpen && index === blocks.length - 1}
          sources={sources}
        />
      ))}
    </div>
  )
})

const MarkdownBlock = memo(function MarkdownBlock({
  token,
  headings,
  isOpen,
  sources,
}: {
  token: Token
  headings: string
  isOpen: boolean
  sources: number
}) {
  return renderBlock(token, { headings, isOpen, sources })
})

function depthsOf(blocks: readonly Block[]): string {
  const depths = new Set(blocks.flatMap(({ token }) => (token.type === 'heading' ? [Number(token.depth)] : [])))
  return [...depths].sort().join('')
}
