import { type AuthError, isAuthRetryableFetchError, type Session, type SupabaseClient } from '@supabase/supabase-js'
import createClient, { type Client, type Middleware } from 'openapi-fetch'
import type { Config } from './config'
import { asProblem, ProblemError, problemOf } from './problem'
import type { components, paths } from './schema'

export type Schemas = components['schemas']
export type Api = Client<paths>

/**
 * A `fetch` on the API with the user's token, which supabase-js renews when it must. Where the API does not take it, it is
 * renewed once more; a session that cannot be renewed has ended, and supabase-js says so. While nothing answers that could
 * renew it, the call is not made, and fails as one without a connection. Throws what `fetch` throws.
 */
export function authorizedFetch(config: Config, supabase: SupabaseClient): typeof fetch {
  return async (input, init) => {
    const at = typeof input === 'string' && input.startsWith('/') ? config.apiUrl + input : input
    const send = (session: Session | null) => {
      const request = new Request(at instanceof Request ? at.clone() : at, init)
      if (session) request.headers.set('Authorization', `Bearer ${session.access_token}`)
      return fetch(request)
    }
    const { data, error } = await supabase.auth.getSession()
    mustAnswer(error)
    const answer = await send(data.session)
    if (answer.status !== 401 || !data.session) return answer
    const { data: renewed, error: refusal } = await supabase.auth.refreshSession()
    mustAnswer(refusal)
    return renewed.session ? send(renewed.session) : answer
  }
}

function mustAnswer(error: AuthError | null): void {
  if (isAuthRetryableFetchError(error)) throw new ProblemError({ code: 'offline', status: 0 })
}

/** A client of the API with the types of its description. Its calls throw a `ProblemError` for every failure. */
export function createApi(config: Config, authorized: typeof fetch): Api {
  const refuse: Middleware = {
    async onResponse({ response }) {
      if (!response.ok) throw await problemOf(response)
    },
    onError: ({ error }) => asProblem(error),
  }
  const api = createClient<paths>({
    baseUrl: config.apiUrl || window.location.origin,
    fetch: (request) => authorized(request),
  })
  api.use(refuse)
  return api
}
