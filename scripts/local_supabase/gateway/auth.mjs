// Supabase Auth: lite's GoTrue part, with its tokens replaced by tokens like those of a hosted project.
import { randomBytes } from 'node:crypto'
import { App } from '@supabase/lite'
import { SignJWT } from 'jose'
import { authConnection } from './connections.mjs'

const JSON_TYPE = { 'content-type': 'application/json' }

export async function createAuth({ authUrl, url, publishableKey, secretKey }, tokens) {
  // lite signs with a shared secret, which is new at each start and never leaves this process.
  const liteSecret = randomBytes(32)
  const connection = authConnection(authUrl)
  const app = new App({
    connection,
    api: { enabled: false, external_url: url },
    auth: {
      enabled: true,
      jwt_secret: liteSecret.toString('hex'),
      publishable_key: publishableKey,
      secret_key: secretKey,
      site_url: url,
    },
    options: { server: { admin: false, disableStudio: true } },
  })
  await app.init()
  const liteKey = new TextEncoder().encode(liteSecret.toString('hex'))

  return {
    /** The Authorization header that lite accepts for a caller with these claims. */
    async authorizationFor(claims) {
      const token = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(liteKey)
      return `Bearer ${token}`
    },

    async fetch(request, env) {
      const { pathname, searchParams } = new URL(request.url)
      if (pathname === '/auth/v1/.well-known/jwks.json') {
        return Response.json(tokens.jwks, { headers: { 'cache-control': 'public, max-age=600' } })
      }
      if (pathname.startsWith('/auth/v1/admin/')) {
        const msg = 'the embedded Auth has no Admin API: sign users up, and change auth.users by SQL'
        return Response.json({ code: 501, error_code: 'not_implemented', msg }, { status: 501 })
      }
      const response = await app.fetch(request, env)
      if (response.status !== 200 || request.method !== 'POST') return response
      if (!['/auth/v1/signup', '/auth/v1/token', '/auth/v1/verify'].includes(pathname)) return response
      const session = await response.json()
      if (session.access_token) {
        const method = pathname === '/auth/v1/verify' ? 'otp' : 'password'
        session.access_token = await tokens.reissue(session.access_token, session.user, method)
      }
      return new Response(JSON.stringify(session), { status: 200, headers: JSON_TYPE })
    },
    close: () => connection.close(),
  }
}
