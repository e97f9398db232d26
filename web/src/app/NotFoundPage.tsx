import { Link } from 'wouter'
import { useTexts } from '../i18n/texts'
import { Page } from '../ui/Page'
import { PageTitle } from './PageTitle'

/** For an address that is none of the client's. */
export function NotFoundPage() {
  const { layout } = useTexts()
  return (
    <Page title={layout.notFound} text={layout.notFoundText}>
      <PageTitle title={layout.notFound} />
      <p>
        <Link href="/">{layout.toStart}</Link>
      </p>
    </Page>
  )
}
