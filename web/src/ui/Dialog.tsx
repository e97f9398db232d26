import { Dialog as Primitive } from '@base-ui/react/dialog'
import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { useTexts } from '../i18n/texts'
import { IconButton } from './Button'
import styles from './Dialog.module.css'

interface DialogProps {
  open: boolean
  onClose: () => void
  title: string
  /** One sentence under the title. */
  description?: string
  children?: ReactNode
  /** The buttons at the end. */
  actions?: ReactNode
}

/** A dialog over the page. Escape, a click beside it and its cross close it; the focus returns to where it was. */
export function Dialog({ open, onClose, title, description, children, actions }: DialogProps) {
  const texts = useTexts()
  return (
    <Primitive.Root open={open} onOpenChange={(now) => !now && onClose()}>
      <Primitive.Portal>
        <Primitive.Backdrop className={styles.veil} />
        <Primitive.Popup className={styles.dialog}>
          <div className={styles.head}>
            <Primitive.Title className={styles.title}>{title}</Primitive.Title>
            <Primitive.Close render={<IconButton label={texts.common.close} />}>
              <X size={18} aria-hidden="true" />
            </Primitive.Close>
          </div>
          {description && <Primitive.Description className={styles.description}>{description}</Primitive.Description>}
          {children}
          {actions && <div className={styles.actions}>{actions}</div>}
        </Primitive.Popup>
      </Primitive.Portal>
    </Primitive.Root>
  )
}
