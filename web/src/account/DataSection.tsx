import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useTexts } from '../i18n/texts'
import { download } from '../lib/download'
import { asProblem, type ProblemError, problemOf } from '../lib/problem'
import { useServices } from '../lib/services'
import { Button } from '../ui/Button'
import { Dialog } from '../ui/Dialog'
import { Field } from '../ui/Field'
import { Section } from '../ui/Page'
import { ProblemNotice } from '../ui/ProblemNotice'
import { useTell } from '../ui/Toasts'
import styles from './DataSection.module.css'

/** Taking everything along, and deleting everything. */
export function DataSection() {
  const { account } = useTexts()
  const { authorized } = useServices()
  const [isExporting, setIsExporting] = useState(false)
  const [isErasing, setIsErasing] = useState(false)
  const [refusal, setRefusal] = useState<ProblemError | null>(null)

  const exportAll = async () => {
    setIsExporting(true)
    setRefusal(null)
    try {
      const answer = await authorized('/v1/export')
      if (!answer.ok) throw await problemOf(answer)
      await download(answer, 'parley-export.jsonl')
    } catch (error) {
      setRefusal(asProblem(error))
    }
    setIsExporting(false)
  }
  return (
    <Section title={account.yourData}>
      <div className={styles.row}>
        <p>{account.exportText}</p>
        <Button busy={isExporting} onClick={() => void exportAll()}>
          {isExporting ? account.exporting : account.exportAll}
        </Button>
      </div>
      {refusal && <ProblemNotice problem={refusal} onRetry={() => void exportAll()} />}
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
  const { account, common } = useTexts()
  const { api } = useServices()
  const queries = useQueryClient()
  const tell = useTell()
  const [word, setWord] = useState('')
  const [isBusy, setIsBusy] = useState(false)
  const [refusal, setRefusal] = useState<ProblemError | null>(null)

  const erase = async () => {
    setIsBusy(true)
    setRefusal(null)
    try {
      const { data } = await api.DELETE('/v1/me/data', { body: { confirm: 'delete everything of mine' } })
      await queries.invalidateQueries()
      if (data) tell(account.erased(data.conversations, data.documents))
      onClose()
    } catch (error) {
      setRefusal(asProblem(error))
      setIsBusy(false)
    }
  }
  return (
    <Dialog
      open
      onClose={onClose}
      title={account.eraseTitle}
      description={account.eraseText}
      actions={
        <>
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button
            kind="danger"
            busy={isBusy}
            disabled={word.trim().toLowerCase() !== account.eraseWord}
            onClick={() => void erase()}
          >
            {account.eraseAll}
          </Button>
        </>
      }
    >
      <Field
        label={account.eraseType(account.eraseWord)}
        value={word}
        autoComplete="off"
        onChange={(event) => setWord(event.target.value)}
      />
      {refusal && <ProblemNotice problem={refusal} />}
    </Dialog>
  )
}
