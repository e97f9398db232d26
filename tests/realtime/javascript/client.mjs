// What the scenarios share: clients of @supabase/realtime-js as an application makes them, and waiting for what comes.
import { RealtimeClient } from '@supabase/realtime-js'

const PATIENCE_MS = 10_000

/** What arrives, in order; `next` waits for the one that nobody has taken yet. */
export class Inbox {
  #items = []
  #waiting = []

  put = (item) => {
    const taker = this.#waiting.shift()
    if (taker) taker(item)
    else this.#items.push(item)
  }

  async next() {
    if (this.#items.length) return this.#items.shift()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('nothing came')), PATIENCE_MS)
      this.#waiting.push((item) => {
        clearTimeout(timer)
        resolve(item)
      })
    })
  }

  async take(count) {
    const taken = []
    while (taken.length < count) taken.push(await this.next())
    return taken
  }

  get untaken() {
    return this.#items.length
  }
}

/** A client on the Supabase at `url`; with a user's `token`, signed in. */
export async function client({ url, key }, { token, ...options } = {}) {
  const made = new RealtimeClient(`${url}/realtime/v1`, { params: { apikey: key }, ...options })
  if (token) await made.setAuth(token)
  return made
}

/** Subscribe, and wait for the first status: [status, the error's message]. Later ones go to `statuses`. */
export async function subscribed(channel, statuses = new Inbox()) {
  channel.subscribe((status, error) => statuses.put([status, error?.message ?? null]))
  return statuses.next()
}

/** Every broadcast that reaches the channel. */
export function broadcasts(channel) {
  const inbox = new Inbox()
  channel.on('broadcast', { event: '*' }, inbox.put)
  return inbox
}
