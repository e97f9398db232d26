import { Link } from 'wouter'
import { useTexts } from '../i18n/texts'
import { EmptyState } from '../ui/EmptyState'
import { PageTitle } from './PageTitle'

/** For an address that is none of the client's. */
export function NotFoundPage() {
  const { layout } = useTexts()
  return (
    <>
      <PageTitle title={layout.notFound} />
      <EmptyState title={layout.notFound} text={layout.notFoundText}>
        <Link href="/">{layout.toStart}</Link>
      </EmptyState>
    </>
  )
}
