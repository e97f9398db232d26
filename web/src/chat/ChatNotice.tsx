import { RotateCcw, TriangleAlert, WifiOff, X } from 'lucide-react'
import { useState } from 'react'
import { useTexts } from '../i18n/texts'
import type { ProblemError } from '../lib/problem'
import { problemText } from '../ui/problemText'
import buttons from './Button.module.css'
import styles from './ChatNotice.module.css'
import type { Waiting } from './transport'
import { useCountdown } from './useCountdown'

/** Says that nothing arrives at the moment, and when it is tried again. */
export function WaitingNotice({ waiting }: { waiting: Waiting }) {
  const texts = useTexts()
  const seconds = useCountdown(waiting.until)
  return (
    <p className={styles.waiting} role="status">
      <WifiOff aria-hidden size={16} />
      {texts.chat.waiting[waiting.reason]} {seconds > 1 ? texts.chat.againIn(seconds) : null}
    </p>
  )
}

/** Says why something was refused; once it may succeed, it can be tried again. */
export function RefusedNotice({
  problem,
  onRetry,
  onClose,
}: {
  problem: ProblemError
  onRetry: (() => void) | null
  onClose: () => void
}) {
  const texts = useTexts()
  const [until] = useState(() => (problem.retryAfter === null ? null : Date.now() + problem.retryAfter * 1000))
  const seconds = useCountdown(until)
  return (
    <div className={styles.refused} role="alert">
      <TriangleAlert aria-hidden size={16} />
      <p>
        {problemText(texts, problem)}
        {problem.requestId ? <small>{texts.problems.requestId(problem.requestId)}</small> : null}
      </p>
      {onRetry ? (
        <button type="button" className={buttons.text} disabled={seconds > 0} onClick={onRetry}>
          <RotateCcw aria-hidden size={14} />
          {seconds > 0 ? texts.chat.againIn(seconds) : texts.common.retry}
        </button>
      ) : null}
      <button type="button" className={buttons.icon} aria-label={texts.common.close} onClick={onClose}>
        <X aria-hidden size={16} />
      </button>
    </div>
  )
}
