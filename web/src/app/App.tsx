import { CSPProvider } from '@base-ui/react/csp-provider'
import { QueryClientProvider } from '@tanstack/react-query'
import { useState } from 'react'
import { DeletionsProvider } from '../lib/deletions'
import { type Services, ServicesProvider } from '../lib/services'
import { SessionProvider } from '../lib/session'
import { ToastsProvider } from '../ui/Toasts'
import { createQueries } from './queries'
import { Routes } from './Routes'

/** The whole client. Needs the texts around it. */
export function App({ services }: { services: Services }) {
  const [queries] = useState(createQueries)
  return (
    // the page's policy allows no <style> in it
    <CSPProvider disableStyleElements>
      <ServicesProvider services={services}>
        <SessionProvider>
          <QueryClientProvider client={queries}>
            <ToastsProvider>
              <DeletionsProvider>
                <Routes />
              </DeletionsProvider>
            </ToastsProvider>
          </QueryClientProvider>
        </SessionProvider>
      </ServicesProvider>
    </CSPProvider>
  )
}
