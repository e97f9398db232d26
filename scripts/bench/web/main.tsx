// The chat pane by itself, against `scripts/bench/web_server.py`: no Supabase, nobody to sign in.
import '@fontsource-variable/figtree/wght.css'
import '@fontsource-variable/source-serif-4/wght.css'
import '../../../web/src/ui/base.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import type { SupabaseClient } from '@supabase/supabase-js'
import { Suspense } from 'react'
import { createRoot } from 'react-dom/client'
import ChatPane from '../../../web/src/chat/ChatPane'
import { TextsProvider } from '../../../web/src/i18n/texts'
import { createServices, ServicesProvider } from '../../../web/src/lib/services'
import { SessionProvider, useSession } from '../../../web/src/lib/session'

const session = { access_token: 'token', user: { id: 'user' } }
const channel = { on: () => channel, subscribe: () => channel }
const supabase = {
  auth: {
    getSession: async () => ({ data: { session } }),
    onAuthStateChange(tell: (event: string, now: typeof session) => void) {
      queueMicrotask(() => tell('INITIAL_SESSION', session))
      return { data: { subscription: { unsubscribe: () => undefined } } }
    },
  },
  channel: () => channel,
  removeChannel: async () => undefined,
} as unknown as SupabaseClient

const services = createServices({ apiUrl: '', supabaseUrl: '', supabasePublishableKey: '' }, supabase)
function Pane() {
  if (!useSession()) return null
  return (
    <ChatPane
      conversationId={location.pathname.slice(3) || null}
      onConversation={(id) => location.assign(`/c/${id}`)}
    />
  )
}

const root = document.getElementById('root')
if (root)
  createRoot(root).render(
    <Suspense>
      <TextsProvider>
        <ServicesProvider services={services}>
          <SessionProvider>
            <QueryClientProvider client={new QueryClient()}>
              <main style={{ height: '100%' }}>
                <Pane />
              </main>
            </QueryClientProvider>
          </SessionProvider>
        </ServicesProvider>
      </TextsProvider>
    </Suspense>,
  )
