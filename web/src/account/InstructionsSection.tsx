import { useQuery, useQueryClient } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { useTexts } from '../i18n/texts'
import { useAction } from '../lib/action'
import { asProblem } from '../lib/problem'
import { useServices } from '../lib/services'
import { Button } from '../ui/Button'
import { Section } from '../ui/Page'
import { ProblemNotice } from '../ui/ProblemNotice'
import { SkeletonLines } from '../ui/Skeleton'
import { useTell } from '../ui/Toasts'
import styles from './InstructionsSection.module.css'

const MOST_CHARACTERS = 8000

/** The instructions of conversations that have none of their own. */
export function InstructionsSection() {
  const { account, common } = useTexts()
  const { api } = useServices()
  const queries = useQueryClient()
  const tell = useTell()
  const settings = useQuery({
    queryKey: ['settings'],
    queryFn: async ({ signal }) => {
      const { data } = await api.GET('/v1/settings', { signal })
      return data ?? null
    },
  })
  const { run, isBusy, refusal } = useAction(async (instructions: string | null) => {
    await api.PATCH('/v1/settings', { body: { instructions } })
    await queries.invalidateQueries({ queryKey: ['settings'] })
    tell(common.saved)
  })
  const save = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    void run(String(new FormData(event.currentTarget).get('instructions')).trim() || null)
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
            defaultValue={settings.data?.instructions ?? ''}
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
