// What applications do with @supabase/realtime-js, written as they would; each scenario returns what it saw.
// Run as: node scenarios.mjs <name> <JSON of the settings>; prints JSON.
import { broadcasts, client, Inbox, subscribed } from './client.mjs'

const OWN = { broadcast: { self: true } }
const PRIVATE = { private: true }

const scenarios = {
  /** Between two clients, of either version of the protocol, also bytes. */
  async broadcast(settings) {
    const [one, two] = [await client(settings), await client(settings, { vsn: settings.vsn })]
    const sender = one.channel('room')
    const receiver = two.channel('room')
    const heard = broadcasts(receiver)
    const own = broadcasts(sender)
    const statuses = [await subscribed(sender), await subscribed(receiver)]
    const sent = []
    for (const payload of [{ é: [1, null] }, { n: 2 }, { n: 3 }]) {
      sent.push(await sender.send({ type: 'broadcast', event: 'message', payload }))
    }
    const received = await heard.take(3)
    await sender.send({ type: 'broadcast', event: 'bytes', payload: new Uint8Array([0, 255]).buffer })
    if (settings.vsn === '2.0.0') received.push([...new Uint8Array((await heard.next()).payload)])
    return { statuses, sent, received, own: own.untaken }
  },

  async ownBroadcast(settings) {
    const one = await client(settings)
    const channel = one.channel('room', { config: { broadcast: { self: true, ack: true } } })
    const heard = broadcasts(channel)
    await subscribed(channel)
    const acknowledged = await channel.send({ type: 'broadcast', event: 'e', payload: { a: 1 } })
    return { acknowledged, heard: await heard.next() }
  },

  /** Over HTTP: with httpSend, and with send before the channel is joined. */
  async http(settings) {
    const one = await client(settings)
    const channel = one.channel('room', { config: OWN })
    const heard = broadcasts(channel)
    await subscribed(channel)
    const away = (await client(settings)).channel('room')
    const answers = [
      await away.httpSend('sent', { a: 1 }),
      await away.httpSend('bytes', new Uint8Array([0, 255]).buffer),
      await away.send({ type: 'broadcast', event: 'fallback', payload: { b: 2 } }),
    ]
    const [first, bytes, last] = await heard.take(3)
    const refused = await (await client(settings))
      .channel('nobody', { config: PRIVATE })
      .httpSend('e', {})
      .catch((error) => error.message)
    return { answers, heard: [first, [...new Uint8Array(bytes.payload)], last], refused }
  },

  async presence(settings) {
    const [one, two] = [await client(settings), await client(settings, { vsn: settings.vsn })]
    const first = one.channel('room', { config: { presence: { key: 'first' } } })
    const second = two.channel('room', { config: { presence: { key: 'second' } } })
    const events = new Inbox()
    const without = ({ presence_ref: _, ...said }) => said
    first.on('presence', { event: 'join' }, ({ key, newPresences }) => events.put(['join', key, newPresences.map(without)]))
    first.on('presence', { event: 'leave' }, ({ key, leftPresences }) => events.put(['leave', key, leftPresences.map(without)]))
    const synced = new Inbox()
    second.on('presence', { event: 'sync' }, () => synced.put(Object.keys(second.presenceState()).sort()))
    await subscribed(first)
    const tracked = [await first.track({ mood: 'good' })]
    const seen = [await events.next()]
    await subscribed(second)
    const states = [await synced.next()]
    tracked.push(await second.track({ mood: 'fine' }))
    states.push(await synced.next())
    seen.push(await events.next())
    tracked.push(await second.track({ mood: 'better' }))
    seen.push(await events.next(), await events.next())
    tracked.push(await second.untrack())
    seen.push(await events.next())
    await first.track({ mood: 'gone soon' })
    one.disconnect()
    let state
    do state = await synced.next()
    while (state.length)
    return { tracked, seen, states }
  },

  async leaving(settings) {
    const one = await client(settings)
    const statuses = new Inbox()
    const channel = one.channel('room')
    const first = await subscribed(channel, statuses)
    const left = await channel.unsubscribe()
    const then = await statuses.next()
    const again = await subscribed(one.channel('room'))
    const removed = await one.removeAllChannels()
    return { first, left, then, again, removed, channels: one.getChannels().length }
  },

  async heartbeat(settings) {
    const beats = new Inbox()
    const one = await client(settings, { heartbeatIntervalMs: 50, heartbeatCallback: beats.put })
    await subscribed(one.channel('room'))
    return { beats: await beats.take(4) }
  },

  /** Who may join a private channel, and why not. */
  async joining(settings) {
    const answers = {}
    for (const [who, token] of Object.entries({ owner: settings.owner, stranger: settings.stranger, anon: null })) {
      const one = await client(settings, { token })
      answers[who] = await subscribed(one.channel(settings.topic, { config: PRIVATE }))
      one.disconnect()
    }
    return answers
  },

  async postgresChanges(settings) {
    const one = await client(settings)
    const channel = one.channel('room').on('postgres_changes', { event: '*', schema: 'public' }, () => {})
    return { status: await subscribed(channel) }
  },

  /** What the owner sends into a topic of the database's: the next thing anybody hears is the database's. */
  async forging(settings) {
    const [one, two] = [await client(settings, { token: settings.owner }), await client(settings, { token: settings.owner })]
    const sender = one.channel(settings.topic, { config: { ...PRIVATE, ...OWN } })
    const other = two.channel(settings.topic, { config: PRIVATE })
    const heard = [broadcasts(sender), broadcasts(other)]
    await subscribed(sender)
    await subscribed(other)
    await sender.send({ type: 'broadcast', event: 'message.delta', payload: { text: 'forged' } })
    const refused = await sender.httpSend('message.delta', { text: 'forged' }).catch((error) => error.message)
    ready()
    return { refused, heard: [await heard[0].next(), await heard[1].next()].map(({ event }) => event) }
  },

  /** With a token that runs out; then with one that is replaced in time. */
  async expiry(settings) {
    const short = await client(settings, { token: settings.short })
    const statuses = new Inbox()
    const system = new Inbox()
    const channel = short.channel(settings.topic, { config: PRIVATE }).on('system', {}, system.put)
    const first = await subscribed(channel, statuses)
    const renewed = await client(settings, { token: settings.short })
    const kept = renewed.channel(settings.topic, { config: PRIVATE })
    const heard = broadcasts(kept)
    await subscribed(kept)
    await renewed.setAuth(settings.owner)
    const cut = [first, (await system.next()).message, await statuses.next()]
    ready()
    return { cut, heard: (await heard.next()).event, state: kept.state }
  },

  async replay(settings) {
    const one = await client(settings, { token: settings.owner })
    const replay = { since: settings.since, limit: 2 }
    const channel = one.channel(settings.topic, { config: { ...PRIVATE, broadcast: { replay } } })
    const heard = broadcasts(channel)
    await subscribed(channel)
    const replayed = await heard.take(2)
    ready()
    const live = await heard.next()
    return { heard: [...replayed, live].map(({ event, meta }) => [event, meta.replayed ?? false]) }
  },

  /** The connection is cut while the channel is joined: the client comes back by itself and hears on. */
  async reconnection(settings) {
    const one = await client(settings, { token: settings.owner, reconnectAfterMs: () => 20 })
    const channel = one.channel(settings.topic, { config: PRIVATE })
    const heard = broadcasts(channel)
    const statuses = new Inbox()
    const seen = [await subscribed(channel, statuses)]
    ready()
    seen.push(await statuses.next())
    let status
    do status = (await statuses.next())[0]
    while (status !== 'SUBSCRIBED')
    ready()
    return { seen: seen.map(([status]) => status), heard: (await heard.next()).event }
  },

  /** A whole reply: sent through the API, received through Realtime. */
  async reply(settings) {
    const one = await client(settings, { token: settings.owner })
    const channel = one.channel(settings.topic, { config: PRIVATE })
    const heard = broadcasts(channel)
    await subscribed(channel)
    const sent = await fetch(`${settings.api}/v1/conversations/${settings.conversation}/messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${settings.owner}`, 'content-type': 'application/json' },
      body: JSON.stringify({ content: settings.content }),
    })
    const events = []
    do events.push(await heard.next())
    while (events.at(-1).event !== 'message.completed')
    return { status: sent.status, turn: await sent.json(), events }
  },
}

/** Tells the test that the scenario is where it must be for what comes from outside. */
function ready() {
  console.log('"ready"')
}

const [name, settings] = process.argv.slice(2)
console.log(JSON.stringify(await scenarios[name](JSON.parse(settings))))
// connections that are still open keep a process alive
process.exit(0)
