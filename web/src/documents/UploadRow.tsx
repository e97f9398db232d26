import { CircleAlert, FileUp, X } from 'lucide-react'
import { useLanguage } from '../i18n/texts'
import { Button, IconButton } from '../ui/Button'
import { ProgressBar } from '../ui/ProgressBar'
import styles from './DocumentRow.module.css'
import { passFocus } from './passFocus'
import type { Upload } from './useUploads'

interface UploadRowProps {
  upload: Upload
  onDismiss: () => void
  onRetry: () => void
}

/** A file on its way, or why the service did not take it. */
export function UploadRow({ upload, onDismiss, onRetry }: UploadRowProps) {
  const { texts, language } = useLanguage()
  const { problem } = upload
  const Icon = problem ? CircleAlert : FileUp
  return (
    <li className={styles.row}>
      <Icon size={20} aria-hidden="true" className={`${styles.icon} ${problem ? styles.failed : ''}`} />
      <div className={styles.text}>
        <p className={styles.title}>{upload.file.name}</p>
        {problem ? (
          <p className={styles.error} role="alert">
            {texts.problems[problem.code].title}
            {': '}
            {problem.detail ? (
              <span lang={language === 'en' ? undefined : 'en'}>{problem.detail}</span>
            ) : (
              texts.problems[problem.code].text
            )}
          </p>
        ) : (
          <ProgressBar label={texts.documents.uploading} />
        )}
        {problem && (problem.status === 0 || problem.status === 429 || problem.status >= 500) && (
          <Button onClick={onRetry}>{texts.common.retry}</Button>
        )}
      </div>
      {problem && (
        <IconButton
          label={texts.documents.dismiss}
          onClick={(event) => {
            passFocus(event.currentTarget)
            onDismiss()
          }}
        >
          <X size={18} aria-hidden="true" />
        </IconButton>
      )}
    </li>
  )
}
