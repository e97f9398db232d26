import { QueryClientProvider } from '@tanstack/react-query'
import { Suspense, useState } from 'react'
import { TextsProvider } from '../i18n/texts'
import { type Services, ServicesProvider } from '../lib/services'
import { SessionProvider } from '../lib/session'
import { createQueries } from './queries'
import { Routes } from './Routes'

/** The whole client. */
export function App({ services }: { services: Services }) {
  const [queries] = useState(createQueries)
  return (
    <Suspense>
      <TextsProvider>
        <ServicesProvider services={services}>
          <SessionProvider>
            <QueryClientProvider client={queries}>
              <Routes />
            </QueryClientProvider>
          </SessionProvider>
        </ServicesProvider>
      </TextsProvider>
    </Suspense>
  )
}
