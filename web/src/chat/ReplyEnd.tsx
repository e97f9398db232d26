import { CircleSlash, Hand } from 'lucide-react'
import { useTexts } from '../i18n/texts'
import { ProblemError } from '../lib/problem'
import { ProblemNotice } from '../ui/ProblemNotice'
import styles from './Message.module.css'
import type { Metadata } from './messages'

/** Why a reply is not whole, and what can be done about it. Nothing for one that is. */
export function ReplyEnd({ metadata, onRetry }: { metadata: Metadata; onRetry: (() => void) | null }) {
  const texts = useTexts()
  const { status, finish_reason: reason, problem } = metadata
  if (status === 'stopped')
    return (
      <p className={styles.end}>
        <Hand aria-hidden size={16} /> {texts.chat.stopped}
      </p>
    )
  if (status === 'filtered' || reason === 'content_filter')
    return (
      <p className={styles.end}>
        <CircleSlash aria-hidden size={16} /> {texts.chat.filtered}
      </p>
    )
  if (status === 'complete' && reason === 'length') return <p className={styles.end}>{texts.chat.tooLong}</p>
  if (status !== 'failed' && status !== 'interrupted') return null
  const why = new ProblemError({
    code: problem?.code ?? (status === 'interrupted' ? 'interrupted' : 'internal_error'),
    status: problem?.status ?? 0,
    detail: problem?.detail ?? null,
    requestId: problem?.request_id ?? null,
  })
  return (
    <div className={styles.failed}>
      <ProblemNotice problem={why} {...(onRetry ? { onRetry } : {})} />
    </div>
  )
}
