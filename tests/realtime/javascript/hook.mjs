// Runs the React hook of docs/realtime.md.
// Run as: node hook.mjs <JSON of the settings>; prints what the hook shows, once the last message has ended.
import { client, Inbox } from './client.mjs'
import { hook } from './documented.mjs'

const settings = JSON.parse(process.argv[2])
const shown = new Inbox()

async function get(path) {
  const answer = await fetch(settings.api + path, { headers: { authorization: `Bearer ${settings.owner}` } })
  return answer.json()
}

const useMessages = hook((first) => [first, shown.put], (effect) => effect())
useMessages(await client(settings, { token: settings.owner, reconnectAfterMs: () => 20 }), get, settings.conversation)
let messages = await shown.next()
console.log('"ready"')
const streaming = ({ reasoning, status }) => status === 'streaming' && reasoning.length > 0
do messages = Object.values(await shown.next())
while (!messages.some(streaming))
console.log('"ready"')
do messages = Object.values(await shown.next())
while (messages.length < 2 || messages.some(({ status }) => status === 'streaming'))
const fields = ['id', 'role', 'content', 'status', 'seq', 'reasoning']
console.log(JSON.stringify(messages.map((message) => Object.fromEntries(fields.map((name) => [name, message[name]])))))
process.exit(0)
