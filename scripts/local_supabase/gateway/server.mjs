// The gateway: serves /auth/v1, /rest/v1 and /realtime/v1 under one origin, as Supabase's own gateway does.
// Its configuration (ports, addresses, keys) comes as one JSON object on the standard input.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { createAuth } from './auth.mjs'
import { forwardRequest, forwardUpgrade } from './forward.mjs'
import { createRest } from './rest.mjs'
import { createTokens, TokenError } from './tokens.mjs'

const config = JSON.parse(readFileSync(0, 'utf8'))
const ROLE_OF_KEY = new Map([
  [config.publishableKey, 'anon'],
  [config.secretKey, 'service_role'],
])
const CORS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Content-Range, Content-Location, Preference-Applied, X-Sb-Error-Code',
}

const tokens = await createTokens(config)
const [auth, rest] = await Promise.all([createAuth(config, tokens), createRest(config)])

const listener = getRequestListener(answer)
const server = http.createServer((incoming, outgoing) => {
  const forRealtime = incoming.url.startsWith('/realtime/v1/') && incoming.method !== 'OPTIONS'
  if (forRealtime) forwardRequest(config.realtimePort, incoming, outgoing, CORS)
  else if (rest.calls.isCall(incoming) && ROLE_OF_KEY.has(incoming.headers.apikey)) answerCall(incoming, outgoing)
  else listener(incoming, outgoing)
})
server.on('upgrade', (incoming, socket, head) => {
  if (incoming.url.startsWith('/realtime/v1/')) forwardUpgrade(config.realtimePort, incoming, socket, head)
  else socket.end('HTTP/1.1 404 Not Found\r\n\r\n')
})
// Longer than clients keep an idle connection, so that the client closes it first. Otherwise a request could meet a
// connection that the server is just closing.
server.keepAliveTimeout = 75_000
server.listen(config.port, '127.0.0.1')

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    server.close(async () => {
      await Promise.allSettled([auth.close(), rest.close()])
      process.exit(0)
    })
    server.closeIdleConnections()
    // the time for open requests to finish
    setTimeout(() => process.exit(0), 3000).unref()
  })
}

/** A call of a function. What cannot be answered past lite goes to it with the body that has been read. */
async function answerCall(incoming, outgoing) {
  try {
    const chunks = []
    for await (const chunk of incoming) chunks.push(chunk)
    const content = Buffer.concat(chunks)
    const answered = (await called(incoming, content.toString())) ?? (await passedOn(incoming, content))
    outgoing.writeHead(answered.status, {
      ...CORS,
      ...answered.headers,
      'content-length': Buffer.byteLength(answered.body),
    })
    outgoing.end(answered.body)
  } catch (error) {
    // a client that has gone needs no answer
    if (!incoming.destroyed || incoming.complete) console.error(error)
    outgoing.destroy()
  }
}

async function called({ method, url, headers }, content) {
  const { authorization, ...others } = headers
  let claims
  try {
    claims = await callerOf(headers.apikey, authorization)
  } catch (error) {
    if (error instanceof TokenError) return null
    throw error
  }
  return rest.calls.answer({ method, url, headers: others }, claims, content)
}

async function passedOn(incoming, content) {
  const { 'content-length': _length, 'transfer-encoding': _encoding, connection: _connection, ...headers } = incoming.headers
  const request = new Request(`http://${incoming.headers.host}${incoming.url}`, { method: 'POST', headers, body: content })
  const response = await answer(request, { incoming })
  const body = Buffer.from(await response.arrayBuffer())
  return { status: response.status, headers: Object.fromEntries(response.headers), body }
}

async function answer(request, env) {
  if (request.method === 'OPTIONS' && request.headers.has('access-control-request-method')) {
    return new Response(null, { status: 204, headers: { ...CORS, ...preflight(request) } })
  }
  const { pathname } = new URL(request.url)
  let response
  if (pathname.startsWith('/auth/v1/')) response = await answerAuth(request, env)
  else if (pathname.startsWith('/rest/v1/')) response = await answerRest(request, env)
  else response = Response.json({ message: 'no Route matched with those values' }, { status: 404 })
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(CORS)) headers.set(name, value)
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
}

function preflight(request) {
  return {
    'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
    'access-control-allow-headers': request.headers.get('access-control-request-headers') ?? '*',
    'access-control-max-age': '3600',
  }
}

async function answerRest(request, env) {
  let claims
  try {
    claims = await callerOf(apiKey(request), request.headers.get('authorization'))
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    return refuseRest(error)
  }
  return rest.fetch(withAuthorization(request, null), claims, env)
}

async function answerAuth(request, env) {
  const token = userToken(apiKey(request), request.headers.get('authorization'))
  if (token === null) return auth.fetch(request, env)
  try {
    const claims = await tokens.verify(token)
    return await auth.fetch(withAuthorization(request, await auth.authorizationFor(claims)), env)
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    const why = error.kind === 'expired' ? 'token has invalid claims: token is expired' : error.message
    return Response.json(
      { code: 403, error_code: 'bad_jwt', msg: `invalid JWT: unable to parse or verify signature, ${why}` },
      { status: 403, headers: { 'x-sb-error-code': 'bad_jwt' } },
    )
  }
}

/** The claims of a request with a valid key: those of the user's token if there is one, else those of the key. */
async function callerOf(key, authorization) {
  const token = userToken(key, authorization)
  if (token !== null) return tokens.verify(token)
  return { role: ROLE_OF_KEY.get(key) ?? 'anon' }
}

const apiKey = (request) => request.headers.get('apikey') ?? new URL(request.url).searchParams.get('apikey')

/** The bearer token. Null when there is none or it only repeats the key, as clients without a signed-in user do. */
function userToken(key, authorization) {
  const token = authorization?.match(/^bearer\s+(.+)$/i)?.[1]
  return token === undefined || token === key ? null : token
}

function withAuthorization(request, authorization) {
  const headers = new Headers(request.headers)
  if (authorization === null) headers.delete('authorization')
  else headers.set('authorization', authorization)
  return new Request(request, { headers })
}

function refuseRest(error) {
  const [code, message, details] =
    error.kind === 'expired'
      ? ['PGRST303', 'JWT expired', null]
      : error.kind === 'malformed'
        ? ['PGRST301', error.message, null]
        : ['PGRST301', 'No suitable key or wrong key type', 'None of the keys was able to decode the JWT']
  return Response.json(
    { code, details, hint: null, message },
    {
      status: 401,
      headers: { 'www-authenticate': `Bearer error="invalid_token", error_description="${message}"` },
    },
  )
}
