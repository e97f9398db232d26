/** What the page's calls of the API meet: how long those that read wait for an answer, and whether the server drains. */
export class Traffic {
  draining = false
  readonly #waiting = new Map<symbol, number>()
  readonly #changed = new EventTarget()

  /** A `fetch` whose calls are watched until their headers come. */
  watch(inner: typeof fetch): typeof fetch {
    return async (input, init) => {
      const call = Symbol('call')
      // a file on its way to the server, or an order, may take as long as it takes
      const isReading = !init?.method && (!(input instanceof Request) || input.method === 'GET')
      if (isReading) this.#waiting.set(call, performance.now())
      try {
        const answer = await inner(input, init)
        // a 503 without a database or a provider is no drain: its body tells them apart
        const code = answer.status === 503 ? await codeOf(answer.clone()) : null
        this.#setDraining(code === 'draining')
        return answer
      } finally {
        this.#waiting.delete(call)
      }
    }
  }

  /** Milliseconds that the oldest unanswered call has waited. */
  longest(): number {
    const [first] = this.#waiting.values()
    return first === undefined ? 0 : performance.now() - first
  }

  subscribe = (notify: () => void): (() => void) => {
    this.#changed.addEventListener('change', notify)
    return () => this.#changed.removeEventListener('change', notify)
  }

  #setDraining(draining: boolean): void {
    if (this.draining === draining) return
    this.draining = draining
    this.#changed.dispatchEvent(new Event('change'))
  }
}

async function codeOf(answer: Response): Promise<string | null> {
  const body = (await answer.json().catch(() => null)) as { code?: string } | null
  return body?.code ?? null
}
