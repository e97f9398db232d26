import { useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { useLanguage, useTexts } from '../i18n/texts'
import { useAction } from '../lib/action'
import type { Schemas } from '../lib/api'
import { copy } from '../lib/copy'
import { ago } from '../lib/format'
import { useNow } from '../lib/now'
import { asProblem } from '../lib/problem'
import { useServices } from '../lib/services'
import { Button } from '../ui/Button'
import { ConfirmDialog } from '../ui/ConfirmDialog'
import { Field } from '../ui/Field'
import { Notice } from '../ui/Notice'
import { Section } from '../ui/Page'
import { ProblemNotice } from '../ui/ProblemNotice'
import { SkeletonLines } from '../ui/Skeleton'
import styles from './KeysSection.module.css'

const KEYS = ['keys'] as const

/** Personal keys: creates, lists and revokes them. A key is shown once, and kept nowhere. */
export function KeysSection() {
  const { texts } = useLanguage()
  const { account } = texts
  const { api } = useServices()
  const queries = useQueryClient()
  const [made, setMade] = useState<string | null>(null)
  const [revoked, setRevoked] = useState<Schemas['KeyView'] | null>(null)
  const keys = useQuery({
    queryKey: KEYS,
    queryFn: async ({ signal }) => {
      const { data } = await api.GET('/v1/keys', { signal })
      return data?.items ?? []
    },
  })

  const { run, isBusy, refusal } = useAction(async (name: string) => {
    const { data } = await api.POST('/v1/keys', { body: { name } })
    setMade(data?.key ?? null)
    await queries.invalidateQueries({ queryKey: KEYS })
  })
  const create = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const name = String(new FormData(form).get('name')).trim()
    if (name && (await run(name))) form.reset()
  }
  return (
    <Section title={account.keys} text={account.keysText}>
      {made && <NewKey value={made} onDone={() => setMade(null)} />}
      <form className={styles.form} onSubmit={(event) => void create(event)}>
        <Field label={account.keyName} name="name" maxLength={100} autoComplete="off" required />
        <Button type="submit" busy={isBusy}>
          {account.newKey}
        </Button>
      </form>
      {refusal && <ProblemNotice problem={refusal} />}
      {keys.isPending && <SkeletonLines count={2} />}
      {keys.error && <ProblemNotice problem={asProblem(keys.error)} onRetry={keys.refetch} />}
      {keys.data?.length === 0 && <p>{account.keyNone}</p>}
      <ul className={styles.keys}>
        {keys.data?.map((key) => (
          <KeyRow key={key.id} value={key} onRevoke={() => setRevoked(key)} />
        ))}
      </ul>
      {revoked && <RevokeDialog value={revoked} onClose={() => setRevoked(null)} />}
    </Section>
  )
}

/** The only time that a key is shown. */
function NewKey({ value, onDone }: { value: string; onDone: () => void }) {
  const { texts } = useLanguage()
  const [isCopied, setIsCopied] = useState(false)
  return (
    <Notice
      tone="info"
      title={texts.account.keyOnce}
      actions={
        <>
          <Button kind="primary" onClick={() => void copy(value).then(setIsCopied)}>
            {isCopied ? texts.common.copied : texts.common.copy}
          </Button>
          <Button onClick={onDone}>{texts.common.close}</Button>
        </>
      }
    >
      <code className={styles.secret}>{value}</code>
    </Notice>
  )
}

function KeyRow({ value, onRevoke }: { value: Schemas['KeyView']; onRevoke: () => void }) {
  const { texts, language } = useLanguage()
  const { account } = texts
  const now = useNow(60_000)
  const used = value.last_used_at ? account.keyUsed(ago(value.last_used_at, now, language)) : account.keyUnused
  return (
    <li className={styles.key}>
      <div className={styles.about}>
        <p className={styles.name}>{value.name}</p>
        <p className={styles.facts}>
          <code>{value.hint}…</code>
          {` · ${account.keyCreated(ago(value.created_at, now, language))} · ${used}`}
        </p>
      </div>
      <Button kind="quiet" onClick={onRevoke} aria-label={`${account.revoke}: ${value.name}`}>
        {account.revoke}
      </Button>
    </li>
  )
}

function RevokeDialog({ value, onClose }: { value: Schemas['KeyView']; onClose: () => void }) {
  const { account } = useTexts()
  const { api } = useServices()
  const queries = useQueryClient()
  const revoke = async () => {
    await api.DELETE('/v1/keys/{key_id}', { params: { path: { key_id: value.id } } })
    await queries.invalidateQueries({ queryKey: KEYS })
  }
  return (
    <ConfirmDialog
      title={account.revokeTitle(value.name)}
      description={account.revokeText}
      order={account.revoke}
      onOrder={revoke}
      onClose={onClose}
    />
  )
}
