import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { forgetWritten } from '../chat/written'
import { useUploads } from '../documents/UploadsProvider'
import { useTexts } from '../i18n/texts'
import { useAction } from '../lib/action'
import { download } from '../lib/download'
import { problemOf } from '../lib/problem'
import { useServices } from '../lib/services'
import { useUser } from '../lib/session'
import { Button } from '../ui/Button'
import { ConfirmDialog } from '../ui/ConfirmDialog'
import { Field } from '../ui/Field'
import { Section } from '../ui/Page'
import { ProblemNotice } from '../ui/ProblemNotice'
import { useTell } from '../ui/Toasts'
import styles from './DataSection.module.css'

/** Taking everything along, and deleting everything. */
export function DataSection() {
  const { account } = useTexts()
  const { authorized } = useServices()
  const [isErasing, setIsErasing] = useState(false)
  const { run, isBusy, refusal } = useAction(async () => {
    const answer = await authorized('/v1/export')
    if (!answer.ok) throw await problemOf(answer)
    await download(answer, 'parley-export.jsonl')
  })
  return (
    <Section title={account.yourData}>
      <div className={styles.row}>
        <p>{account.exportText}</p>
        <Button busy={isBusy} onClick={() => void run()}>
          {isBusy ? account.exporting : account.exportAll}
        </Button>
      </div>
      {refusal && <ProblemNotice problem={refusal} onRetry={() => void run()} />}
      <div className={styles.row}>
        <p>{account.eraseText}</p>
        <Button kind="danger" onClick={() => setIsErasing(true)}>
          {account.eraseAll}
        </Button>
      </div>
      {isErasing && <EraseDialog onClose={() => setIsErasing(false)} />}
    </Section>
  )
}

/** Asks for a word before it deletes everything. */
function EraseDialog({ onClose }: { onClose: () => void }) {
  const { account } = useTexts()
  const { api } = useServices()
  const user = useUser()
  const uploads = useUploads()
  const queries = useQueryClient()
  const tell = useTell()
  const [word, setWord] = useState('')

  const erase = async () => {
    uploads.clear()
    const { data } = await api.DELETE('/v1/me/data', { body: { confirm: 'delete everything of mine' } })
    forgetWritten(user.id)
    await queries.invalidateQueries()
    if (data) tell(account.erased(data.conversations, data.documents))
  }
  return (
    <ConfirmDialog
      title={account.eraseTitle}
      description={account.eraseText}
      order={account.eraseAll}
      onOrder={erase}
      onClose={onClose}
      isReady={word.trim().toLowerCase() === account.eraseWord}
    >
      <Field
        label={account.eraseType(account.eraseWord)}
        value={word}
        autoComplete="off"
        onChange={(event) => setWord(event.target.value)}
      />
    </ConfirmDialog>
  )
}
