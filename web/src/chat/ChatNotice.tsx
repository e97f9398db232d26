import { WifiOff, X } from 'lucide-react'
import { useEffect, useState } from 'react'
import { useTexts } from '../i18n/texts'
import type { ProblemError } from '../lib/problem'
import { IconButton } from '../ui/Button'
import { ProblemNotice } from '../ui/ProblemNotice'
import styles from './ChatNotice.module.css'
import type { Waiting } from './transport'

/** Says that nothing arrives at the moment, and when it is tried again. */
export function WaitingNotice({ waiting }: { waiting: Waiting }) {
  const texts = useTexts()
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500)
    return () => clearInterval(timer)
  }, [])
  const seconds = Math.ceil((waiting.until - now) / 1000)
  return (
    <div className={styles.waiting}>
      <WifiOff aria-hidden size={16} />
      <span role="status">{texts.chat.waiting[waiting.reason]}</span>
      {seconds > 1 ? <span>{texts.chat.againIn(seconds)}</span> : null}
    </div>
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
  return (
    <div className={styles.refused}>
      <ProblemNotice problem={problem} {...(onRetry ? { onRetry } : {})} />
      <IconButton label={texts.common.close} onClick={onClose}>
        <X aria-hidden size={16} />
      </IconButton>
    </div>
  )
}
