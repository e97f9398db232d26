import { useQuery, useQueryClient } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { useDraft } from '../chat/useDraft'
import { useTexts } from '../i18n/texts'
import { useAction } from '../lib/action'
import { asProblem } from '../lib/problem'
import { useServices } from '../lib/services'
import { useUser } from '../lib/session'
import { Button } from '../ui/Button'
import { Section } from '../ui/Page'
import { ProblemNotice } from '../ui/ProblemNotice'
import { SkeletonLines } from '../ui/Skeleton'
import { useTell } from '../ui/Toasts'
import styles from './InstructionsSection.module.css'

const MOST_CHARACTERS = 8000

/** The instructions of conversations that have none of their own. Those that could not be saved are kept as a draft. */
export function InstructionsSection() {
  const { account, common } = useTexts()
  const { api } = useServices()
  const queries = useQueryClient()
  const tell = useTell()
  const [draft, keepDraft] = useDraft(useUser().id, 'instructions')
  const settings = useQuery({
    queryKey: ['settings'],
    queryFn: async ({ signal }) => {
      const { data } = await api.GET('/v1/settings', { signal })
      return data ?? null
    },
  })
  const { run, isBusy, refusal } = useAction(async (instructions: string | null) => {
    await api.PATCH('/v1/settings', { body: { instructions } })
    keepDraft('')
    await queries.invalidateQueries({ queryKey: ['settings'] })
    tell(common.saved)
  })
  const save = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const instructions = String(new FormData(event.currentTarget).get('instructions')).trim()
    keepDraft(instructions)
    void run(instructions || null)
  }
  return (
    <Section title={account.instructions} text={account.instructionsText}>
      {settings.isPending && <SkeletonLines count={2} />}
      {settings.error && <ProblemNotice problem={asProblem(settings.error)} onRetry={settings.refetch} />}
      {settings.data !== undefined && (
        <form className={styles.form} onSubmit={save}>
          <textarea
            name="instructions"
            dir="auto"
            className={styles.text}
            aria-label={account.instructionsLabel}
            defaultValue={draft || (settings.data?.instructions ?? '')}
            maxLength={MOST_CHARACTERS}
            rows={4}
          />
          {refusal && <ProblemNotice problem={refusal} />}
          <Button type="submit" busy={isBusy}>
            {common.save}
          </Button>
        </form>
      )}
    </Section>
  )
}
