import { ImageOff } from 'lucide-react'
import type { MarkedToken, Token, Tokens } from 'marked'
import { Fragment, type ReactNode } from 'react'
import { Citation } from './Citation'
import { CodeBlock } from './CodeBlock'
import { decodeReferences } from './entities'
import { safeLink, tellsHost } from './links'
import styles from './Markdown.module.css'
import { Maths } from './Maths'
import type { MathsToken } from './maths'
import { ScrollRegion } from './ScrollRegion'

// Markdown as React elements. No HTML string is made anywhere on the way, so no text can become an element or an attribute
// that is not written here.

// the conversation is the page's h1
const HEADINGS = ['h2', 'h3', 'h4', 'h5', 'h6', 'h6'] as const
const CITED = /\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]/g
const BREAK = /<br\s*\/?>/i
const DEEPEST = 40

/** What the elements of a text need to know beside it. */
export interface Surroundings {
  /** How many sources the reply has: `[1]` up to it are citations. */
  sources: number
  /** The depths of headings that the text has, e.g. `23`: a text that begins with `##` leaves no level out. */
  headings: string
  /** Whether the block is still being written. */
  isOpen: boolean
}

export function renderBlock(token: Token, around: Surroundings): ReactNode {
  return render(token, 0, around, 0)
}

function all(tokens: readonly Token[] | undefined, around: Surroundings, depth: number): ReactNode[] {
  return (tokens ?? []).map((token, index) => render(token, index, around, depth + 1))
}

function render(given: Token, key: number, around: Surroundings, depth: number): ReactNode {
  const token = given as MarkedToken | MathsToken
  if (depth > DEEPEST) return <Fragment key={key}>{token.raw}</Fragment>
  switch (token.type) {
    case 'text':
      return (
        <Fragment key={key}>{token.tokens ? all(token.tokens, around, depth) : plain(token.text, around)}</Fragment>
      )
    case 'escape':
    case 'html':
      return <Fragment key={key}>{token.text}</Fragment>
    case 'paragraph':
      return <p key={key}>{all(token.tokens, around, depth)}</p>
    case 'heading': {
      const Heading = HEADINGS[around.headings.indexOf(String(token.depth))] ?? 'h6'
      return <Heading key={key}>{all(token.tokens, around, depth)}</Heading>
    }
    case 'em':
      return <em key={key}>{all(token.tokens, around, depth)}</em>
    case 'strong':
      return <strong key={key}>{all(token.tokens, around, depth)}</strong>
    case 'del':
      return <del key={key}>{all(token.tokens, around, depth)}</del>
    case 'codespan':
      return <code key={key}>{token.text}</code>
    case 'br':
      return <br key={key} />
    case 'hr':
      return <hr key={key} />
    case 'blockquote':
      return (
        <blockquote key={key} dir="auto">
          {all(token.tokens, around, depth)}
        </blockquote>
      )
    case 'list':
      return <List key={key} list={token} around={around} depth={depth} />
    case 'code':
      return (
        <CodeBlock
          key={key}
          code={token.text}
          language={/^\S*/.exec(token.lang ?? '')?.[0] ?? ''}
          isOpen={around.isOpen}
        />
      )
    case 'maths':
      return <Maths key={key} tex={token.tex} isDisplay={token.isDisplay} />
    case 'table':
      return <DataTable key={key} table={token} around={around} depth={depth} />
    case 'link':
      return (
        <Link key={key} url={token.autolink ? token.href : decodeReferences(token.href)} text={token.text}>
          {all(token.tokens, around, depth)}
        </Link>
      )
    case 'image':
      // never loaded: its address could carry what the conversation says to whoever wrote the text
      return <Picture key={key} url={decodeReferences(token.href)} alt={decodeReferences(token.text)} />
    case 'list_item': // with their list
    case 'checkbox':
    case 'space':
    case 'def': // where it is referred to
      return null
    default:
      return token satisfies never
  }
}

function plain(text: string, around: Surroundings): ReactNode[] {
  const shown: ReactNode[] = []
  let end = 0
  for (const match of around.sources ? text.matchAll(CITED) : []) {
    const numbers = (match[1] ?? '').split(',').map(Number)
    if (!numbers.every((one) => one >= 1 && one <= around.sources)) continue
    shown.push(...lines(text.slice(end, match.index), end))
    shown.push(...numbers.map((number) => <Citation key={`${match.index}-${number}`} number={number} />))
    end = match.index + match[0].length
  }
  return [...shown, ...lines(text.slice(end), end)]
}

/** `<br>` is the one tag that models use inside tables, where Markdown has no other line break. */
function lines(text: string, at: number): ReactNode[] {
  return text.split(BREAK).flatMap((line, index) => {
    const shown = decodeReferences(line)
    // biome-ignore lint/suspicious/noArrayIndexKey: the place of a line is what it is
    return index ? [<br key={`${at}-${index}`} />, shown] : [shown]
  })
}

function List({ list, around, depth }: { list: Tokens.List; around: Surroundings; depth: number }) {
  const items = list.items.map((item, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the place of an item is what it is
    <li key={index} className={item.task ? styles.task : undefined}>
      {item.task ? (
        <input type="checkbox" checked={item.checked ?? false} readOnly disabled aria-label={item.text} />
      ) : null}
      {all(item.tokens, around, depth)}
    </li>
  ))
  return list.ordered ? (
    <ol dir="auto" start={list.start === '' ? 1 : list.start}>
      {items}
    </ol>
  ) : (
    <ul dir="auto">{items}</ul>
  )
}

function Link({ url, text, children }: { url: string; text: string; children: ReactNode }) {
  const link = safeLink(url)
  if (!link) return <>{children}</>
  return (
    <>
      <a href={link.href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
      {tellsHost(text, link) ? null : <span className={styles.host}> ({link.host})</span>}
    </>
  )
}

function Picture({ url, alt }: { url: string; alt: string }) {
  return (
    <span className={styles.picture}>
      <ImageOff aria-hidden size={14} />
      <Link url={url} text="">
        {alt || url}
      </Link>
    </span>
  )
}

function DataTable({ table, around, depth }: { table: Tokens.Table; around: Surroundings; depth: number }) {
  return (
    <ScrollRegion kind="table">
      <table dir="auto">
        <thead>
          <tr>
            {table.header.map((cell, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the place of a cell is what it is
              <th key={at} data-align={cell.align ?? undefined}>
                {all(cell.tokens, around, depth)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, number) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the place of a row is what it is
            <tr key={number}>
              {row.map((cell, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: the place of a cell is what it is
                <td key={at} data-align={cell.align ?? undefined}>
                  {all(cell.tokens, around, depth)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollRegion>
  )
}
