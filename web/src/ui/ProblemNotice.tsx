import { useEffect, useState } from 'react'
import { Link } from 'wouter'
import { useLanguage } from '../i18n/texts'
import type { ProblemCode, ProblemError } from '../lib/problem'
import { Button } from './Button'
import { Notice } from './Notice'
import styles from './ProblemNotice.module.css'

/** Codes whose sentence from the API says more than the code: which limit, which field, which file. */
const DETAILED: ReadonlySet<ProblemCode> = new Set([
  'invalid_request',
  'limit_reached',
  'payload_too_large',
  'conflict',
  'no_provider_configured',
  'unreadable',
])
/** Codes that pass by themselves, so that they are no alarm. */
const PASSING: ReadonlySet<ProblemCode> = new Set([
  'rate_limited',
  'draining',
  'offline',
  'provider_unavailable',
  'supabase_unavailable',
  'interrupted',
])
const EXPLAINED_IN_ACCOUNT: ReadonlySet<ProblemCode> = new Set(['premium_required', 'budget_exceeded', 'limit_reached'])

interface ProblemNoticeProps {
  problem: ProblemError
  /** Does again what failed; offered once `Retry-After` is over. */
  onRetry?: () => void
}

/** Why something failed, in plain words, with what helps: a wait, another try, the account. */
export function ProblemNotice({ problem, onRetry }: ProblemNoticeProps) {
  const { texts, language } = useLanguage()
  const seconds = useCountdown(problem)
  const known = texts.problems[problem.code]
  return (
    <Notice
      tone={PASSING.has(problem.code) ? 'warn' : 'danger'}
      title={known.title}
      actions={
        <>
          {onRetry && (
            <Button onClick={onRetry} disabled={seconds > 0}>
              {seconds > 0 ? texts.common.retryIn(seconds) : texts.common.retry}
            </Button>
          )}
          {EXPLAINED_IN_ACCOUNT.has(problem.code) && <Link href="/account">{texts.problems.toAccount}</Link>}
          {problem.requestId && (
            <span className={styles.id}>
              {texts.problems.requestId} <code>{problem.requestId}</code>
            </span>
          )}
        </>
      }
    >
      <p>{known.text}</p>
      {problem.detail && DETAILED.has(problem.code) && (
        <p className={styles.detail} lang={language === 'en' ? undefined : 'en'}>
          {problem.detail}
        </p>
      )}
    </Notice>
  )
}

/** The seconds until the same call may succeed, counted down; 0 where that is now. */
export function useCountdown(problem: ProblemError): number {
  const [until, setUntil] = useState(0)
  const [now, setNow] = useState(0)
  useEffect(() => {
    const start = Date.now()
    setNow(start)
    setUntil(start + (problem.retryAfter ?? 0) * 1000)
  }, [problem])
  useEffect(() => {
    if (now >= until) return
    const timer = setTimeout(() => setNow(Date.now()), 500)
    return () => clearTimeout(timer)
  }, [now, until])
  return Math.max(0, Math.ceil((until - now) / 1000))
}
