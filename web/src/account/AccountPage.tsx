import { LogOut } from 'lucide-react'
import { PageTitle } from '../app/PageTitle'
import { useTexts } from '../i18n/texts'
import { useServices } from '../lib/services'
import { signOut, useUser } from '../lib/session'
import { Button } from '../ui/Button'
import { Page } from '../ui/Page'
import { AppearanceSection } from './AppearanceSection'
import { DataSection } from './DataSection'
import { InstructionsSection } from './InstructionsSection'
import { KeysSection } from './KeysSection'
import { PlanSection } from './PlanSection'
import { UsageSection } from './UsageSection'

/** Everything that is about the user and not about one conversation. */
export default function AccountPage() {
  const { account } = useTexts()
  const { supabase } = useServices()
  const user = useUser()
  return (
    <Page title={account.title} {...(user.email && { text: user.email })}>
      <PageTitle title={account.title} />
      <div>
        <Button onClick={() => void signOut(supabase)}>
          <LogOut size={16} aria-hidden="true" />
          {account.signOut}
        </Button>
      </div>
      <PlanSection />
      <UsageSection />
      <InstructionsSection />
      <AppearanceSection />
      <KeysSection />
      <DataSection />
    </Page>
  )
}
