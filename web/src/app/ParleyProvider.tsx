import { CSPProvider } from '@base-ui/react/csp-provider'
import { QueryClientProvider } from '@tanstack/react-query'
import { type ReactNode, Suspense, useState } from 'react'
import { UploadsProvider } from '../documents/UploadsProvider'
import { TextsProvider } from '../i18n/texts'
import { DeletionsProvider } from '../lib/deletions'
import { createQueries } from '../lib/queries'
import { type Services, ServicesProvider } from '../lib/services'
import { SessionProvider, useSession } from '../lib/session'
import { ToastsProvider } from '../ui/Toasts'

/** What every component of the client needs around it. An app that takes components along puts it around them. */
export function ParleyProvider({ services, children }: { services: Services; children: ReactNode }) {
  return (
    // the page's policy allows no <style> in it
    <CSPProvider disableStyleElements>
      <Suspense>
        <TextsProvider>
          <ServicesProvider services={services}>
            <SessionProvider>
              <OfOnePerson>{children}</OfOnePerson>
            </SessionProvider>
          </ServicesProvider>
        </TextsProvider>
      </Suspense>
    </CSPProvider>
  )
}

/** Who signs in next begins with nothing of what was read, said and hidden for the one before. */
function OfOnePerson({ children }: { children: ReactNode }) {
  return <Memory key={useSession()?.user.id ?? ''}>{children}</Memory>
}

function Memory({ children }: { children: ReactNode }) {
  const [queries] = useState(createQueries)
  return (
    <QueryClientProvider client={queries}>
      <ToastsProvider>
        <DeletionsProvider>
          <UploadsProvider>{children}</UploadsProvider>
        </DeletionsProvider>
      </ToastsProvider>
    </QueryClientProvider>
  )
}
