import { type FormEvent, useState } from 'react'
import { useLocation } from 'wouter'
import { PageTitle } from '../app/PageTitle'
import { useTexts } from '../i18n/texts'
import { useServices } from '../lib/services'
import { useHasExpired } from '../lib/session'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { Notice } from '../ui/Notice'
import styles from './SignInPage.module.css'
import { messageOf } from './signInErrors'

/** What Supabase demands by default. */
const LEAST_PASSWORD = 6

/** Signs in, or creates an account. Shown in the place of any page while nobody is signed in. */
export default function SignInPage() {
  const { account, common } = useTexts()
  const { supabase } = useServices()
  const [address] = useLocation()
  const [isNew, setIsNew] = useState(address === '/sign-up')
  const [error, setError] = useState<string | null>(null)
  const [isBusy, setIsBusy] = useState(false)
  const [mailed, setMailed] = useState<string | null>(null)

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const email = String(form.get('email')).trim()
    const password = String(form.get('password'))
    setIsBusy(true)
    setError(null)
    const { data, error: refusal } = isNew
      ? await supabase.auth.signUp({ email, password })
      : await supabase.auth.signInWithPassword({ email, password })
    setIsBusy(false)
    if (refusal) setError(messageOf(refusal, account))
    // a project that confirms addresses gives no session yet
    else if (!data.session) setMailed(email)
  }

  const hasExpired = useHasExpired()
  const title = isNew ? account.signUp : account.signIn
  return (
    <main className={styles.page}>
      <PageTitle title={title} />
      <div className={styles.card}>
        <p className={styles.name}>
          <img src="/favicon.svg" alt="" width="32" height="32" />
          {common.appName}
        </p>
        {mailed ? (
          <Notice tone="info" title={account.checkMail}>
            <p>{account.checkMailText(mailed)}</p>
          </Notice>
        ) : (
          <form className={styles.form} onSubmit={(event) => void submit(event)}>
            <div>
              <h1 className={styles.title}>{title}</h1>
              <p className={styles.text}>{isNew ? account.signUpText : account.signInText}</p>
            </div>
            {hasExpired && <Notice tone="info">{account.expired}</Notice>}
            <Field label={account.email} name="email" type="email" autoComplete="email" required />
            <Field
              key={title}
              label={account.password}
              name="password"
              type="password"
              autoComplete={isNew ? 'new-password' : 'current-password'}
              minLength={isNew ? LEAST_PASSWORD : undefined}
              hint={isNew ? account.passwordHint(LEAST_PASSWORD) : undefined}
              required
            />
            {error && <Notice tone="danger">{error}</Notice>}
            <Button type="submit" kind="primary" busy={isBusy}>
              {title}
            </Button>
            <Button
              kind="quiet"
              onClick={() => {
                setIsNew(!isNew)
                setError(null)
              }}
            >
              {isNew ? account.toSignIn : account.toSignUp}
            </Button>
          </form>
        )}
      </div>
    </main>
  )
}
