import { Upload as UploadIcon } from 'lucide-react'
import { useRef } from 'react'
import { PageTitle } from '../app/PageTitle'
import { useTexts } from '../i18n/texts'
import { useDeletions } from '../lib/deletions'
import { asProblem } from '../lib/problem'
import { Button } from '../ui/Button'
import { EmptyState } from '../ui/EmptyState'
import { Page } from '../ui/Page'
import { ProblemNotice } from '../ui/ProblemNotice'
import { SkeletonLines } from '../ui/Skeleton'
import { DocumentRow, pathOf } from './DocumentRow'
import styles from './DocumentsPage.module.css'
import { FileDrop } from './FileDrop'
import { UploadRow } from './UploadRow'
import { useShownUploads, useUploads } from './UploadsProvider'
import { useDocuments } from './useDocuments'

const KINDS = '.pdf,.docx,.pptx,.xlsx,.epub,.md,.markdown,.html,.htm,.csv,.txt,text/*'

/** The documents that replies may cite: adds, watches and deletes them. Files may be dropped anywhere on the page. */
export default function DocumentsPage() {
  const texts = useTexts()
  const { isGoing } = useDeletions()
  const { documents, isPending, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useDocuments()
  const { add, dismiss, retry } = useUploads()
  const uploads = useShownUploads()
  const chooser = useRef<HTMLInputElement>(null)
  const shown = documents.filter((one) => !isGoing(pathOf(one.id)))
  return (
    <FileDrop className={styles.page}>
      <PageTitle title={texts.documents.title} />
      <Page title={texts.documents.title} text={texts.documents.text}>
        <div className={styles.zone}>
          <UploadIcon size={22} aria-hidden="true" className={styles.arrow} />
          <p>
            <strong>{texts.documents.drop}</strong> {texts.documents.dropText}
          </p>
          <Button kind="primary" onClick={() => chooser.current?.click()}>
            {texts.documents.choose}
          </Button>
          <p className={styles.kinds}>{texts.documents.kinds}</p>
          <input
            ref={chooser}
            type="file"
            multiple
            hidden
            accept={KINDS}
            aria-label={texts.documents.choose}
            onChange={(event) => {
              add(event.target.files ?? [])
              event.target.value = ''
            }}
          />
        </div>
        {error && <ProblemNotice problem={asProblem(error)} onRetry={refetch} />}
        {isPending ? (
          <SkeletonLines count={3} />
        ) : (
          <ul className={styles.list}>
            {uploads.map((one) => (
              <UploadRow key={one.key} upload={one} onDismiss={() => dismiss(one.key)} onRetry={() => retry(one)} />
            ))}
            {shown.map((one) => (
              <DocumentRow key={one.id} document={one} />
            ))}
          </ul>
        )}
        {!isPending && !error && !uploads.length && !shown.length && (
          <EmptyState title={texts.documents.empty} text={texts.documents.emptyText} />
        )}
        {hasNextPage && (
          <Button kind="quiet" busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {texts.common.more}
          </Button>
        )}
      </Page>
    </FileDrop>
  )
}
