// The React hook of docs/realtime.md as it stands there, with the two functions of React that it uses given by the caller.
import { readFileSync } from 'node:fs'

const document = readFileSync(new URL('../../../docs/realtime.md', import.meta.url), 'utf8')
const [, code] = document.match(/```js\n([^]*?)```/)
const parts = code.replace(/import .* from 'react'/, '').replace('export function', 'function')
const made = new Function('react', `${parts.replaceAll(/\b(useState|useEffect)\(/g, 'react.$1(')}\nreturn useMessages`)
const react = {}
const useMessages = made(react)

/** The hook, which keeps its channels between calls; a call uses these two functions. */
export const hook = (useState, useEffect) => (...settings) => {
  Object.assign(react, { useState, useEffect })
  return useMessages(...settings)
}
