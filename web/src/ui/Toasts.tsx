import { Toast } from '@base-ui/react/toast'
import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { useTexts } from '../i18n/texts'
import { Button, IconButton } from './Button'
import styles from './Toasts.module.css'

interface ToastData {
  undo?: () => void
}

/** Shows short messages at the lower edge, over the composer of a conversation. F6 moves the focus to them. */
export function ToastsProvider({ children }: { children: ReactNode }) {
  const { common } = useTexts()
  return (
    <Toast.Provider limit={3}>
      {children}
      <Toast.Portal>
        <Toast.Viewport className={styles.viewport} aria-label={common.messages}>
          <Shown />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  )
}

function Shown() {
  const texts = useTexts()
  const { toasts, close } = Toast.useToastManager<ToastData>()
  return toasts.map((toast) => (
    <Toast.Root key={toast.id} toast={toast} className={styles.toast}>
      <Toast.Content className={styles.content}>
        <div className={styles.text}>
          <Toast.Title className={styles.title} />
          <Toast.Description />
        </div>
        {toast.data?.undo && (
          <Button
            kind="quiet"
            className={styles.undo}
            onClick={() => {
              toast.data?.undo?.()
              close(toast.id)
            }}
          >
            {texts.common.undo}
          </Button>
        )}
        {/* not the primitive's own, which screen readers are not told of until the message has the focus */}
        <IconButton label={texts.common.close} className={styles.close} onClick={() => close(toast.id)}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </Toast.Content>
    </Toast.Root>
  ))
}

export interface Told {
  /** What is to be said of it beside its title. */
  text?: ReactNode
  /** Takes back what was done; offered as a button. */
  undo?: () => void
  /** Called when the message has gone, by itself or closed. */
  onGone?: () => void
  milliseconds?: number
}

/** Tells the user something for some seconds. Returns the function that takes the message away before. */
export function useTell(): (title: string, told?: Told) => () => void {
  const { add, close } = Toast.useToastManager<ToastData>()
  return (title, { text, undo, onGone, milliseconds = 5000 } = {}) => {
    const id = add({
      title,
      timeout: milliseconds,
      data: undo ? { undo } : {},
      ...(text !== undefined && { description: text }),
      ...(onGone && { onRemove: onGone }),
    })
    return () => close(id)
  }
}
