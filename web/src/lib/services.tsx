import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { createContext, type ReactNode, useContext } from 'react'
import { type Api, authorizedFetch, createApi } from './api'
import type { Config } from './config'
import { Traffic } from './traffic'

/** What the components talk to. Another app gives its own by `ServicesProvider`. */
export interface Services {
  config: Config
  supabase: SupabaseClient
  /** A typed client; its calls throw `ProblemError`. */
  api: Api
  /** A `fetch` with the user's token, for streams and files. Paths begin with a slash. */
  authorized: typeof fetch
  /** How the calls of both fare. */
  traffic: Traffic
}

/** Makes the services. supabase-js keeps the session in `localStorage`; nothing else keeps a token. */
export function createServices(config: Config, supabase?: SupabaseClient): Services {
  const client = supabase ?? createClient(config.supabaseUrl, config.supabasePublishableKey)
  const traffic = new Traffic()
  const authorized = traffic.watch(authorizedFetch(config, client))
  return { config, supabase: client, authorized, traffic, api: createApi(config, authorized) }
}

const ServicesContext = createContext<Services | null>(null)

export function ServicesProvider({ services, children }: { services: Services; children: ReactNode }) {
  return <ServicesContext value={services}>{children}</ServicesContext>
}

export function useServices(): Services {
  const services = useContext(ServicesContext)
  if (!services) throw new Error('useServices needs a ServicesProvider around it')
  return services
}
