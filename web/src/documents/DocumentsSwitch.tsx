import { Toggle } from '@base-ui/react/toggle'
import { BookOpen, BookX } from 'lucide-react'
import { useTexts } from '../i18n/texts'
import { usePreferences } from '../models/preferences'
import styles from './DocumentsSwitch.module.css'

/** Whether the next messages use the user's documents; shown in the composer. */
export function DocumentsSwitch() {
  const { documents } = useTexts()
  const [{ useDocuments }, change] = usePreferences()
  const isOn = useDocuments !== false
  const Icon = isOn ? BookOpen : BookX
  return (
    <Toggle
      className={styles.toggle}
      pressed={isOn}
      onPressedChange={(pressed) => change({ useDocuments: pressed ? null : false })}
      aria-label={documents.switchLabel}
      title={isOn ? documents.switchOn : documents.switchOff}
    >
      <Icon size={18} aria-hidden="true" />
    </Toggle>
  )
}
