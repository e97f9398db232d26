import { useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { useTexts } from '../i18n/texts'
import { asProblem, type ProblemError } from '../lib/problem'
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
  const [isBusy, setIsBusy] = useState(false)
  const [refusal, setRefusal] = useState<ProblemError | null>(null)
  const settings = useQuery({
    queryKey: ['settings'],
    queryFn: async ({ signal }) => {
      const { data } = await api.GET('/v1/settings', { signal })
      return data ?? null
    },
  })
  const save = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const instructions = String(new FormData(event.currentTarget).get('instructions')).trim() || null
    setIsBusy(true)
    setRefusal(null)
    try {
      await api.PATCH('/v1/settings', { body: { instructions } })
      await queries.invalidateQueries({ queryKey: ['settings'] })
      tell(common.saved)
    } catch (error) {
      setRefusal(asProblem(error))
    }
    setIsBusy(false)
  }
  return (
    <Section title={account.instructions} text={account.instructionsText}>
      {settings.isPending && <SkeletonLines count={2} />}
      {settings.error && <ProblemNotice problem={asProblem(settings.error)} onRetry={settings.refetch} />}
      {settings.data !== undefined && (
        <form className={styles.form} onSubmit={(event) => void save(event)}>
          <textarea
            name="instructions"
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
