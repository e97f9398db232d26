import { CircleSlash, Hand, RotateCcw, TriangleAlert } from 'lucide-react'
import { useTexts } from '../i18n/texts'
import { ProblemError } from '../lib/problem'
import { problemText } from '../ui/problemText'
import buttons from './Button.module.css'
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
  const said = problem
    ? problemText(
        texts,
        new ProblemError({ code: problem.code, status: problem.status, detail: problem.detail ?? null }),
      )
    : texts.problems.internal_error
  return (
    <div className={styles.failed}>
      <TriangleAlert aria-hidden size={16} />
      <p>
        {status === 'interrupted' ? texts.chat.interrupted : said}
        {problem?.request_id ? <small>{texts.problems.requestId(problem.request_id)}</small> : null}
      </p>
      {onRetry ? (
        <button type="button" className={buttons.text} onClick={onRetry}>
          <RotateCcw aria-hidden size={14} /> {texts.common.retry}
        </button>
      ) : null}
    </div>
  )
}
