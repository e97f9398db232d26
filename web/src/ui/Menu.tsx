import { Menu as Primitive } from '@base-ui/react/menu'
import type { ReactElement, ReactNode } from 'react'
import styles from './Menu.module.css'

interface MenuProps {
  /** The element that opens it; it is given the rest. */
  trigger: ReactElement
  children: ReactNode
}

/** A menu of actions. Arrows move in it, Escape closes it. */
export function Menu({ trigger, children }: MenuProps) {
  return (
    <Primitive.Root modal={false}>
      <Primitive.Trigger render={trigger} />
      <Primitive.Portal>
        <Primitive.Positioner className={styles.positioner} sideOffset={4} align="end">
          <Primitive.Popup className={styles.menu}>{children}</Primitive.Popup>
        </Primitive.Positioner>
      </Primitive.Portal>
    </Primitive.Root>
  )
}

interface MenuItemProps {
  icon: ReactNode
  onSelect: () => void
  danger?: boolean
  children: ReactNode
}

export function MenuItem({ icon, onSelect, danger = false, children }: MenuItemProps) {
  return (
    <Primitive.Item className={`${styles.item} ${danger ? styles.danger : ''}`} onClick={onSelect}>
      {icon}
      {children}
    </Primitive.Item>
  )
}
