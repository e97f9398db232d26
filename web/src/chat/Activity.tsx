import { useEffect, useState } from 'react'
import { useTexts } from '../i18n/texts'
import styles from './Message.module.css'

const SILENCE_MS = 2000

/** Shows that a reply is being written, and says so in words when nothing has come for two seconds. */
export function Activity({ progress }: { progress: number }) {
  const texts = useTexts()
  const [silentAt, setSilentAt] = useState<number | null>(null)
  useEffect(() => {
    const timer = setTimeout(() => setSilentAt(progress), SILENCE_MS)
    return () => clearTimeout(timer)
  }, [progress])
  return (
    <p className={styles.activity}>
      <span aria-hidden className={styles.pulse} />
      {silentAt === progress ? texts.chat.stillWorking : null}
    </p>
  )
}
