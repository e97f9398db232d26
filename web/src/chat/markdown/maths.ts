import type { TokenizerAndRendererExtension, Tokens } from 'marked'

/** A formula: its TeX, and whether it stands on lines of its own. */
export interface MathsToken extends Tokens.Generic {
  type: 'maths'
  tex: string
  isDisplay: boolean
}

const BLOCK = [
  /^ {0,3}\$\$[ \t]*\n([\s\S]*?)(?:\n[ \t]*\$\$[ \t]*(?:\n+|$)|$)/,
  /^ {0,3}\\\[[ \t]*\n([\s\S]*?)(?:\n[ \t]*\\\][ \t]*(?:\n+|$)|$)/,
  /^ {0,3}\$\$([^\n$]+)\$\$[ \t]*(?:\n+|$)/,
  /^ {0,3}\\\[([^\n]+?)\\\][ \t]*(?:\n+|$)/,
]
const INLINE = [
  { form: /^\\\(((?:[^\\\n]|\\(?!\))[^\n]|\n(?!\s*\n)){1,2000}?)\\\)/, isDisplay: false },
  { form: /^\\\[((?:[^\\\n]|\\(?!\])[^\n]|\n(?!\s*\n)){1,2000}?)\\\]/, isDisplay: true },
  { form: /^\$\$((?:[^$\\\n]|\\[^\n]|\n(?!\s*\n)){1,2000}?)\$\$/, isDisplay: true },
]
const SINGLE = /^\$((?:[^$\\\n]|\\[^\n]|\n(?!\s*\n)){1,1000}?)\$(?![\w$])/

// two words with only blanks or stars (of bold words) between them, or a long one
const PROSE = /[\p{L}\p{N})\]][\s*]*\s[\s*]*[\p{L}\p{N}([]|\p{L}{4}/u

/** Whether the text between two single dollars is maths: `$x$` and `$5 + f(x)$` are, `$5 and $` and `$5, or 10$` are not. */
export function isMaths(between: string): boolean {
  if (between === '' || between.trim() !== between) return false
  if (/[\\^_=<>{}]/.test(between) || (/[-+/|]/.test(between) && !PROSE.test(between))) return true
  if (/^\d/.test(between)) return /^\d+[a-zA-Z]?$|^\d+(\s*[-+/]\s*\w+|(\s?)\*\2\w+)+$/.test(between)
  return !/\s/.test(between) || /^\w(\s*[-+*/,]\s*\w)+$/.test(between)
}

const made = (raw: string, tex: string, isDisplay: boolean): MathsToken => ({
  type: 'maths',
  raw,
  tex: tex.trim(),
  isDisplay,
})

/** Formulas on lines of their own, between `$$` or `\[` and `\]`. One that is not closed goes to the end, like code does. */
export const blockMaths: TokenizerAndRendererExtension = {
  name: 'blockMaths',
  level: 'block',
  start: (text) => /(?:^|\n) {0,3}(?:\$\$|\\\[)/.exec(text)?.index,
  tokenizer(text) {
    for (const form of BLOCK) {
      const match = form.exec(text)
      if (match) return made(match[0], match[1] ?? '', true)
    }
    return undefined
  },
}

/** Formulas within a line: `\(x\)`, `\[x\]`, `$$x$$`, and `$x$` where that cannot be money. */
export const inlineMaths: TokenizerAndRendererExtension = {
  name: 'inlineMaths',
  level: 'inline',
  start: (text) => /\$|\\[([]/.exec(text)?.index,
  tokenizer(text, tokens) {
    for (const { form, isDisplay } of INLINE) {
      const match = form.exec(text)
      if (match) return made(match[0], match[1] ?? '', isDisplay)
    }
    const match = SINGLE.exec(text)
    // `US$5` is no maths
    if (!match || /[\w$]$/.test(tokens.at(-1)?.raw ?? '') || !isMaths(match[1] ?? '')) return undefined
    return made(match[0], match[1] ?? '', false)
  },
}
