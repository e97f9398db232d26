interface Line {
  stored: unknown
  wanted: unknown
  newest: object
  end: Promise<void>
}

interface Write<Value> {
  /** What is stored now, as far as is known. */
  stored: Value
  wanted: Value
  /** Shows a value: the wanted one at once, and the stored one again where the write fails. */
  show?: (value: Value) => void
  send: () => Promise<unknown>
}

/**
 * Writes of values to the service, by the name of what they belong to. Two that are sent at once may be taken in either
 * order, so each waits for the one before it; of several that wait, only the newest is sent.
 */
export class Writes {
  /** How many writes have ended. What was read while one ended may be older than it. */
  ended = 0
  readonly #lines = new Map<string, Line>()

  /** Ends when the value is stored, or when a newer one is wanted. Throws why the newest could not be stored. */
  write<Value>(thing: string, { stored, wanted, show, send }: Write<Value>): Promise<void> {
    const own = {}
    const line = this.#lines.get(thing) ?? { stored, wanted, newest: own, end: Promise.resolve() }
    this.#lines.set(thing, line)
    line.wanted = wanted
    line.newest = own
    show?.(wanted)
    const written = line.end.then(async () => {
      if (line.newest !== own) return
      try {
        await send()
        line.stored = wanted
      } catch (error) {
        if (line.newest !== own) return
        show?.(line.stored as Value)
        throw error
      } finally {
        this.ended += 1
        if (line.newest === own) this.#lines.delete(thing)
      }
    })
    line.end = written.catch(() => undefined)
    return written
  }

  /** What is to be shown where `stored` was read: the value that is on its way, if one is. */
  shown<Value>(thing: string, stored: Value): Value {
    const line = this.#lines.get(thing)
    return line ? (line.wanted as Value) : stored
  }

  /** Ends once nothing is on its way to this. Whether something was. */
  async idle(thing: string): Promise<boolean> {
    const wasBusy = this.#lines.has(thing)
    for (let line = this.#lines.get(thing); line; line = this.#lines.get(thing)) await line.end
    return wasBusy
  }

  /** What `read` finds when nothing is on its way to this, and no write has ended in the time of the reading. */
  async read<Found>(thing: string, read: () => Promise<Found>): Promise<Found> {
    for (;;) {
      await this.idle(thing)
      const { ended } = this
      const found = await read()
      if (ended === this.ended && !this.#lines.has(thing)) return found
    }
  }
}

/** Those of the page, whichever of its components write. */
export const writes = new Writes()
