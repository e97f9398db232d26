// /realtime/v1: passes requests and WebSockets to the Realtime process, unchanged.
import http from 'node:http'

const HOST = '127.0.0.1'

export function forwardRequest(port, incoming, outgoing, headers) {
  const upstream =
    port &&
    http.request({ host: HOST, port, path: incoming.url, method: incoming.method, headers: incoming.headers })
  const unavailable = () => {
    if (outgoing.headersSent) return outgoing.destroy()
    outgoing.writeHead(503, { ...headers, 'content-type': 'application/json' })
    outgoing.end(JSON.stringify({ message: 'Realtime is not running' }))
  }
  if (!upstream) return unavailable()
  upstream.on('error', unavailable)
  upstream.on('response', (response) => {
    outgoing.writeHead(response.statusCode, { ...response.headers, ...headers })
    response.pipe(outgoing)
  })
  incoming.pipe(upstream)
}

export function forwardUpgrade(port, incoming, socket, head) {
  const refuse = () => socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n')
  socket.on('error', () => socket.destroy())
  if (!port) return refuse()
  const upstream = http.request({
    host: HOST,
    port,
    path: incoming.url,
    method: incoming.method,
    headers: incoming.headers,
  })
  upstream.on('error', refuse)
  upstream.on('upgrade', (response, peer, peerHead) => {
    writeHead(socket, response)
    if (peerHead.length) socket.write(peerHead)
    if (head.length) peer.write(head)
    peer.on('error', () => socket.destroy())
    peer.pipe(socket).pipe(peer)
    socket.on('close', () => peer.destroy())
  })
  upstream.on('response', (response) => {
    writeHead(socket, response)
    response.pipe(socket)
  })
  upstream.end()
}

function writeHead(socket, response) {
  const lines = [`HTTP/1.1 ${response.statusCode} ${response.statusMessage}`]
  for (let at = 0; at < response.rawHeaders.length; at += 2) {
    lines.push(`${response.rawHeaders[at]}: ${response.rawHeaders[at + 1]}`)
  }
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
}
