import { lazy, Suspense } from 'react'
import { Route, Switch, useLocation } from 'wouter'
import { useSession } from '../lib/session'
import { ChatPage } from './ChatPage'
import { ConversationPage } from './ConversationPage'
import { FailureBoundary } from './FailureBoundary'
import { Layout } from './Layout'
import { NotFoundPage } from './NotFoundPage'

const SignInPage = lazy(() => import('../account/SignInPage'))
const DocumentsPage = lazy(() => import('../documents/DocumentsPage'))
const AccountPage = lazy(() => import('../account/AccountPage'))

/** What is shown for each address. Someone who is not signed in is asked to, and then gets the page of the address. */
export function Routes() {
  const session = useSession()
  const [address] = useLocation()
  if (session === undefined) return null
  if (session === null)
    return (
      <Suspense>
        <SignInPage />
      </Suspense>
    )
  return (
    <Layout key={session.user.id}>
      <FailureBoundary key={address}>
        <Suspense>
          <Switch>
            <Route path="/" component={ChatPage} />
            <Route path="/c/:id">{({ id }) => <ConversationPage key={id} id={id} />}</Route>
            <Route path="/documents" component={DocumentsPage} />
            <Route path="/account" component={AccountPage} />
            <Route component={NotFoundPage} />
          </Switch>
        </Suspense>
      </FailureBoundary>
    </Layout>
  )
}
