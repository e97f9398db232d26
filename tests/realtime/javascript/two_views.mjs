// Two views of one conversation with the React hook of docs/realtime.md, on one client: the first one leaves, and comes
// back. Run as: node two_views.mjs <JSON of the settings>; prints the ids that each view shows when it is asked.
import { createInterface } from 'node:readline'
import { client } from './client.mjs'
import { hook } from './documented.mjs'

const settings = JSON.parse(process.argv[2])

async function get(path) {
  const answer = await fetch(settings.api + path, { headers: { authorization: `Bearer ${settings.owner}` } })
  return answer.json()
}

const supabase = await client(settings, { token: settings.owner })

function view() {
  const shown = { ids: null }
  const useState = (first) => [first, (messages) => (shown.ids = Object.keys(messages))]
  const useEffect = (effect) => (shown.leave = effect())
  hook(useState, useEffect)(supabase, get, settings.conversation)
  return shown
}

let [first, second] = [view(), view()]
const orders = {
  leave: () => first.leave(),
  'leave and come back': () => { first.leave(); first = view() },
  'leave both': () => { first.leave(); second.leave() },
  channels: () => supabase.getChannels().length,
}
for await (const order of createInterface({ input: process.stdin })) {
  const said = orders[order]?.() ?? null
  console.log(JSON.stringify(order === 'channels' ? said : [first.ids, second.ids]))
}
process.exit(0)
