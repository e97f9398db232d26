import { useLanguage } from '../i18n/texts'
import { count, money } from '../lib/format'
import { asProblem } from '../lib/problem'
import { Notice } from '../ui/Notice'
import { Section } from '../ui/Page'
import { ProblemNotice } from '../ui/ProblemNotice'
import { SkeletonLines } from '../ui/Skeleton'
import { Meter } from './Meter'
import styles from './PlanSection.module.css'
import { useUsage } from './useUsage'

/** The plan, and what is left of each of its limits. */
export function PlanSection() {
  const { texts, language } = useLanguage()
  const { account } = texts
  const { data: usage, error, refetch } = useUsage()
  if (error && !usage)
    return (
      <Section title={account.limits}>
        <ProblemNotice problem={asProblem(error)} onRetry={refetch} />
      </Section>
    )
  if (!usage)
    return (
      <Section title={account.limits}>
        <SkeletonLines count={4} />
      </Section>
    )
  const number = (value: number) => count(value, language)
  const dollars = (value: number) => money(value, language)
  const { requests, tokens, budget, storage } = usage
  return (
    <Section title={account.limits}>
      {!usage.allowed && (
        <Notice tone="warn" title={account.premiumTitle}>
          <p>{account.premiumText}</p>
        </Notice>
      )}
      <p className={styles.plan}>
        {account.plan}: <strong>{usage.plan}</strong>
      </p>
      <dl className={styles.meters}>
        <Meter
          label={account.requestsLeft}
          left={requests.remaining}
          all={requests.limit}
          show={number}
          more={requests.reset}
        />
        <Meter
          label={account.tokensLeft}
          left={tokens.remaining}
          all={tokens.limit}
          show={number}
          more={tokens.reset}
        />
        {budget && (
          <Meter
            label={account.budgetLeft}
            left={budget.remaining_micro_usd}
            all={budget.limit_micro_usd}
            show={dollars}
          />
        )}
        <Meter
          label={account.conversationsLeft}
          left={storage.conversations.remaining}
          all={storage.conversations.limit}
          show={number}
        />
        <Meter
          label={account.documentsLeft}
          left={storage.documents.remaining}
          all={storage.documents.limit}
          show={number}
        />
        <Meter
          label={account.passagesLeft}
          left={storage.passages.remaining}
          all={storage.passages.limit}
          show={number}
        />
      </dl>
    </Section>
  )
}
