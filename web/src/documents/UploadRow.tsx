import { CircleAlert, FileUp, X } from 'lucide-react'
import { useTexts } from '../i18n/texts'
import type { ProblemError } from '../lib/problem'
import { Button, IconButton } from '../ui/Button'
import { ProgressBar } from '../ui/ProgressBar'
import styles from './DocumentRow.module.css'
import { passFocus } from './passFocus'
import { UploadProblem } from './UploadProblem'
import type { Upload } from './uploads'

interface UploadRowProps {
  upload: Upload
  onDismiss: () => void
  onRetry: () => void
}

/** A file on its way, or why the service did not take it. */
export function UploadRow({ upload, onDismiss, onRetry }: UploadRowProps) {
  const texts = useTexts()
  const { problem } = upload
  const Icon = problem ? CircleAlert : FileUp
  return (
    <li className={styles.row}>
      <Icon size={20} aria-hidden="true" className={`${styles.icon} ${problem ? styles.failed : ''}`} />
      <div className={styles.text}>
        <p className={styles.title}>{upload.file.name}</p>
        {problem ? (
          <p className={styles.error} role="alert">
            <UploadProblem problem={problem} />
          </p>
        ) : (
          <ProgressBar label={texts.documents.uploading} />
        )}
        {problem && mayPass(problem) && <Button onClick={onRetry}>{texts.common.retry}</Button>}
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

/** Whether the same file may be taken another time. */
function mayPass({ code, status }: ProblemError): boolean {
  if (code === 'folder' || code === 'file_unreadable') return false
  return status === 0 || status === 401 || status === 429 || status >= 500
}
