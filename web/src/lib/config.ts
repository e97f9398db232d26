/** Where the page finds its API and Supabase: `/config.json` of the API that serves it. Nothing in it is a secret. */
export interface Config {
  /** The origin of the API, without a slash at its end; empty where it is the page's own. */
  apiUrl: string
  supabaseUrl: string
  supabasePublishableKey: string
}

interface ConfigFile {
  api_url: string
  supabase_url: string
  supabase_publishable_key: string
}

/** Reads the configuration. Throws where the API does not answer with it. */
export async function loadConfig(): Promise<Config> {
  const answer = await fetch('/config.json')
  if (!answer.ok) throw new Error(`/config.json answered with ${answer.status}`)
  const file = (await answer.json()) as ConfigFile
  return {
    apiUrl: file.api_url,
    supabaseUrl: file.supabase_url,
    supabasePublishableKey: file.supabase_publishable_key,
  }
}
