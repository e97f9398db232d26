// The character references that occur in texts by models. Others are shown as they are written, which loses nothing.
const NAMED: Record<string, string> = {
  amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', copy: '©', reg: '®', trade: '™', deg: '°', plusmn: '±',
  times: '×', divide: '÷', middot: '·', bull: '•', hellip: '…', ndash: '–', mdash: '—', lsquo: '‘', rsquo: '’', ldquo: '“',
  rdquo: '”', laquo: '«', raquo: '»', larr: '←', uarr: '↑', rarr: '→', darr: '↓', harr: '↔', le: '≤', ge: '≥', ne: '≠',
  asymp: '≈', infin: '∞', micro: 'µ', sect: '§', para: '¶', euro: '€', pound: '£', yen: '¥', cent: '¢', frac12: '½',
  frac14: '¼', frac34: '¾', sup2: '²', sup3: '³', alpha: 'α', beta: 'β', gamma: 'γ', delta: 'δ', lambda: 'λ', mu: 'μ',
  pi: 'π', sigma: 'σ', omega: 'ω', Delta: 'Δ', Omega: 'Ω', sum: '∑', radic: '√', thinsp: '\u2009', ensp: '\u2002',
  emsp: '\u2003', shy: '\u00ad', zwj: '\u200d', zwnj: '\u200c',
}

/** The text with its character references, such as `&amp;` and `&#233;`, as characters. */
export function decodeReferences(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,8}));/gi, (whole, decimal, hex, name) => {
    if (name) return NAMED[name] ?? whole
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16)
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : '\ufffd'
  })
}
