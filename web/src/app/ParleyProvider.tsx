import { CSPProvider } from '@base-ui/react/csp-provider'
import { QueryClientProvider } from '@tanstack/react-query'
import { type ReactNode, Suspense, useState } from 'react'
import { TextsProvider } from '../i18n/texts'
import { DeletionsProvider } from '../lib/deletions'
import { createQueries } from '../lib/queries'
import { type Services, ServicesProvider } from '../lib/services'
import { SessionProvider } from '../lib/session'
import { ToastsProvider } from '../ui/Toasts'

/** What every component of the client needs around it. An app that takes components along puts it around them. */
export function ParleyProvider({ services, children }: { services: Services; children: ReactNode }) {
  const [queries] = useState(createQueries)
  return (
    // the page's policy allows no <style> in it
    <CSPProvider disableStyleElements>
      <Suspense>
        <TextsProvider>
          <ServicesProvider services={services}>
            <SessionProvider>
              <QueryClientProvider client={queries}>
                <ToastsProvider>
                  <DeletionsProvider>{children}</DeletionsProvider>
                </ToastsProvider>
              </QueryClientProvider>
            </SessionProvider>
          </ServicesProvider>
        </TextsProvider>
      </Suspense>
    </CSPProvider>
  )
}
