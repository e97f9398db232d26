import { ChevronLeft, ChevronRight } from 'lucide-react'
import { useTexts } from '../i18n/texts'
import type { Schemas } from '../lib/api'
import { IconButton } from '../ui/Button'
import styles from './Message.module.css'

/** Goes between the versions of a message: `‹ 2 / 3 ›`. */
export function Versions({
  siblings,
  isDisabled,
  onShow,
}: {
  siblings: Schemas['SiblingsView'] | null | undefined
  isDisabled: boolean
  onShow: (id: string) => void
}) {
  const texts = useTexts()
  if (!siblings || siblings.count < 2) return null
  const { index, count, previous_id: previous, next_id: next } = siblings
  return (
    <fieldset className={styles.versions} aria-label={texts.chat.versions}>
      <IconButton
        label={texts.chat.previousVersion}
        disabled={!previous || isDisabled}
        onClick={() => previous && onShow(previous)}
      >
        <ChevronLeft aria-hidden size={16} />
      </IconButton>
      <span>{texts.chat.versionOf(index, count)}</span>
      <IconButton label={texts.chat.nextVersion} disabled={!next || isDisabled} onClick={() => next && onShow(next)}>
        <ChevronRight aria-hidden size={16} />
      </IconButton>
    </fieldset>
  )
}
