import { Marked, type Token, type TokenizerAndRendererExtension } from 'marked'
import remend from 'remend'
import { blockMaths, inlineMaths } from './maths'

const CJK = /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}\u3000-\u303f\uff00-\uffef]/u
const STARS = /^(\*{1,2})(?![\s*])((?:[^*\\]|\\[\s\S])*?[^\s*\\])\1(?!\*)/

// In Markdown `**「重要」**です` is not bold, because of the bracket inside and the letter outside. CJK has no blanks there.
const cjkEmphasis: TokenizerAndRendererExtension = {
  name: 'cjkEmphasis',
  level: 'inline',
  tokenizer(text, tokens) {
    const match = STARS.exec(text)
    const [raw, stars, inner] = match ?? []
    if (!raw || !inner || !stars) return undefined
    const [before, after] = [tokens.at(-1)?.raw.at(-1) ?? '', text.charAt(raw.length)]
    if (!CJK.test(before + inner.charAt(0) + inner.slice(-1) + after)) return undefined
    return { type: stars === '*' ? 'em' : 'strong', raw, text: inner, tokens: this.lexer.inlineTokens(inner) }
  },
}

const marked = new Marked({
  extensions: [blockMaths, inlineMaths, cjkEmphasis],
  tokenizer: {
    // HTML is text like any other: `List<String>` stays readable, and nothing of it ever becomes an element
    html: () => undefined,
    tag: () => undefined,
    // `20~25` is a range
    del: (text) => (text.startsWith('~~') ? false : undefined),
  },
})

/** A block at the top of a text, and where it begins. It stays what it is once another one follows. */
export interface Block {
  token: Token
  start: number
}

/** A text that may still grow, read block by block. */
export interface Parsed {
  text: string
  blocks: readonly Block[]
  /** What the text defines for its reference links, as Markdown. */
  definitions: string
}

export const NOTHING: Parsed = { text: '', blocks: [], definitions: '' }

function lex(text: string): Token[] {
  try {
    return marked.lexer(text)
  } catch (error) {
    // thousands of nested quotes or lists are too deep for the parser: the text is shown as it is
    if (error instanceof RangeError) return [{ type: 'text', raw: text, text }]
    throw error
  }
}

function read(text: string, start: number, definitions: string): Block[] {
  const tail = text.slice(start).replaceAll('\r', '')
  let [at, end] = [start, start + tail.length]
  return lex(definitions ? `${tail}\n\n${definitions}` : tail).flatMap((token) => {
    const block = { token, start: at }
    at += token.raw.length
    return token.type === 'space' || block.start >= end ? [] : [block]
  })
}

const definitionsOf = (blocks: readonly Block[]) =>
  blocks
    .filter(({ token }) => token.type === 'def')
    .map(({ token }) => token.raw.trim())
    .join('\n')

/**
 * Reads `text`. Where it continues what was read before, only the last block is read again: in Markdown nothing that
 * comes later changes a block that another one follows, except the definition of a reference.
 */
export function advance(before: Parsed, text: string): Parsed {
  if (text === before.text) return before
  const isLonger = before.blocks.length > 0 && text.startsWith(before.text)
  if (!isLonger) {
    const blocks = read(text, 0, '')
    return { text, blocks, definitions: definitionsOf(blocks) }
  }
  const kept = before.blocks.slice(0, -1)
  const blocks = [...kept, ...read(text, before.blocks.at(-1)?.start ?? 0, before.definitions)]
  const definitions = definitionsOf(blocks)
  // a new definition is for the whole text
  return definitions === before.definitions ? { text, blocks, definitions } : { ...advance(NOTHING, text), definitions }
}

/** `parsed` with what is open in its last block closed, for a text that is still being written. */
export function closeLast(parsed: Parsed): readonly Block[] {
  const last = parsed.blocks.at(-1)
  if (!last || last.token.type === 'code' || last.token.type === 'maths') return parsed.blocks
  const tail = parsed.text.slice(last.start)
  const closed = remend(tail, { katex: false, linkMode: 'text-only' })
  return closed === tail ? parsed.blocks : [...parsed.blocks.slice(0, -1), ...read(closed, 0, parsed.definitions)]
}
