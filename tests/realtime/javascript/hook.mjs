// Runs the React hook of docs/realtime.md as it stands there, with the two functions of React that it uses replaced.
// Run as: node hook.mjs <JSON of the settings>; prints what the hook shows, once the last message has ended.
import { readFileSync } from 'node:fs'
import { client, Inbox } from './client.mjs'

const settings = JSON.parse(process.argv[2])
const document = readFileSync(new URL('../../../docs/realtime.md', import.meta.url), 'utf8')
const [, code] = document.match(/```js\n([^]*?)```/)
const shown = new Inbox()
globalThis.useState = (first) => [first, shown.put]
globalThis.useEffect = (effect) => effect()
const source = code.replace(/import .* from 'react'/, 'const { useState, useEffect } = globalThis')
const { useMessages } = await import(`data:text/javascript,${encodeURIComponent(source)}`)

async function get(path) {
  const answer = await fetch(settings.api + path, { headers: { authorization: `Bearer ${settings.owner}` } })
  return answer.json()
}

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
