import type { ReactNode } from 'react'
import { useTexts } from '../i18n/texts'
import { useAction } from '../lib/action'
import { Button } from './Button'
import { Dialog } from './Dialog'
import { ProblemNotice } from './ProblemNotice'

interface ConfirmDialogProps {
  title: string
  description: string
  /** What the button says that does it. */
  order: string
  /** Does it; the dialog closes when it has succeeded, and says why it has not. */
  onOrder: () => Promise<unknown>
  onClose: () => void
  /** Whether it may be ordered now. */
  isReady?: boolean
  children?: ReactNode
}

/** Asks before something is done that cannot be taken back. */
export function ConfirmDialog({
  title,
  description,
  order,
  onOrder,
  onClose,
  isReady = true,
  children,
}: ConfirmDialogProps) {
  const { common } = useTexts()
  const { run, isBusy, refusal } = useAction(onOrder)
  return (
    <Dialog
      open
      onClose={onClose}
      title={title}
      description={description}
      actions={
        <>
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button
            kind="danger"
            busy={isBusy}
            disabled={!isReady}
            onClick={() => void run().then((isDone) => isDone && onClose())}
          >
            {order}
          </Button>
        </>
      }
    >
      {children}
      {refusal && <ProblemNotice problem={refusal} />}
    </Dialog>
  )
}
