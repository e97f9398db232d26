// Access tokens: signs them with ES256 as a hosted project does, publishes the key, and checks tokens.
import { createLocalJWKSet, decodeJwt, errors, jwtVerify, SignJWT, importJWK } from 'jose'

// The difference between clocks, in seconds, that PostgREST accepts.
const CLOCK_SKEW_SECONDS = 30
// Tokens whose signature has been checked. PostgREST remembers them too (jwt-cache-max-entries).
const MOST_KNOWN = 1000

export class TokenError extends Error {
  /** @param {'expired' | 'malformed' | 'unverifiable'} kind */
  constructor(kind, message) {
    super(message)
    this.kind = kind
  }
}

export async function createTokens({ signingKey, url }) {
  const { d: _secret, ...publicPart } = signingKey
  const jwks = { keys: [{ ...publicPart, use: 'sig', key_ops: ['verify'], ext: true }] }
  const publicKeys = createLocalJWKSet(jwks)
  const privateKey = await importJWK(signingKey, 'ES256')
  const issuer = `${url}/auth/v1`
  const known = new Map()

  const expired = ({ exp }) => exp !== undefined && exp + CLOCK_SKEW_SECONDS <= Date.now() / 1000

  return {
    jwks,
    issuer,

    /** The claims of a token that this project has signed. Throws TokenError for others. */
    async verify(token) {
      const checked = known.get(token)
      if (checked !== undefined) {
        if (!expired(checked)) return checked
        known.delete(token)
      }
      if (token.split('.').length !== 3) {
        throw new TokenError('malformed', `Expected 3 parts in JWT; got ${token.split('.').length}`)
      }
      try {
        const { payload } = await jwtVerify(token, publicKeys, {
          algorithms: ['ES256'],
          clockTolerance: CLOCK_SKEW_SECONDS,
        })
        if (known.size >= MOST_KNOWN) known.delete(known.keys().next().value)
        known.set(token, payload)
        return payload
      } catch (error) {
        if (error instanceof errors.JWTExpired) throw new TokenError('expired', 'JWT expired')
        throw new TokenError('unverifiable', error.message)
      }
    },

    /** The token that a hosted project would issue for the session that lite has opened with its own token. */
    async reissue(liteToken, user, method) {
      const lite = decodeJwt(liteToken)
      return new SignJWT({
        iss: issuer,
        sub: lite.sub,
        aud: lite.aud,
        exp: lite.exp,
        iat: lite.iat,
        email: user.email ?? '',
        phone: user.phone ?? '',
        app_metadata: user.app_metadata ?? {},
        user_metadata: user.user_metadata ?? {},
        role: lite.role,
        aal: 'aal1',
        amr: [{ method, timestamp: lite.iat }],
        session_id: lite.session_id,
        is_anonymous: user.is_anonymous ?? false,
      })
        .setProtectedHeader({ alg: 'ES256', kid: signingKey.kid, typ: 'JWT' })
        .sign(privateKey)
    },
  }
}
