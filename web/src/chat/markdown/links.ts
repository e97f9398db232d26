/** A link as it may be shown: where it goes, and the host that the reader is told. */
export interface SafeLink {
  href: string
  host: string
}

/** What `url` of a text by a model leads to; null where it is no web or mail address, and is then shown as text. */
export function safeLink(url: string): SafeLink | null {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    return null // relative: it would lead into this app, where a model has no business
  }
  if (parsed.protocol === 'mailto:') return { href: parsed.href, host: decodeSafely(parsed.pathname) }
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') return null
  // `https://bank.example@evil.example` leads to evil.example; its first part is there to deceive
  parsed.username = ''
  parsed.password = ''
  return { href: parsed.href, host: parsed.host }
}

/** Whether a link's own text already tells its host, so that it need not stand beside it. */
export function tellsHost(text: string, { host }: SafeLink): boolean {
  const shown = text.trim().replace(/^(https?:\/\/|mailto:)/i, '')
  return shown === host || (shown.startsWith(host) && /^[/?#]/.test(shown.slice(host.length)))
}

function decodeSafely(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
