import { lazy, Suspense } from 'react'
import { Redirect, Route, Switch } from 'wouter'
import { useSession } from '../lib/session'
import { ChatPage } from './ChatPage'
import { ConversationPage } from './ConversationPage'
import { Layout } from './Layout'

const SignInPage = lazy(() => import('../account/SignInPage'))
const DocumentsPage = lazy(() => import('../documents/DocumentsPage'))
const AccountPage = lazy(() => import('../account/AccountPage'))

/** What is shown for each address. */
export function Routes() {
  const session = useSession()
  if (session === undefined) return null
  if (session === null)
    return (
      <Suspense>
        <SignInPage />
      </Suspense>
    )
  return (
    <Layout>
      <Suspense>
        <Switch>
          <Route path="/" component={ChatPage} />
          <Route path="/c/:id">{({ id }) => <ConversationPage key={id} id={id} />}</Route>
          <Route path="/documents" component={DocumentsPage} />
          <Route path="/account" component={AccountPage} />
          <Route>
            <Redirect to="/" replace />
          </Route>
        </Switch>
      </Suspense>
    </Layout>
  )
}
