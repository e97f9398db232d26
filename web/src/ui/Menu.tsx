import { Menu as Primitive } from '@base-ui/react/menu'
import type { ReactElement, ReactNode } from 'react'
import styles from './Menu.module.css'

interface MenuProps {
  /** What its actions are for: the name of its place, which is outside the page's landmarks. */
  label: string
  /** The element that opens it; it is given the rest. */
  trigger: ReactElement
  children: ReactNode
}

/** A menu of actions. Arrows move in it, Escape closes it, and so does a click elsewhere, which does nothing else. */
export function Menu({ label, trigger, children }: MenuProps) {
  return (
    <Primitive.Root>
      <Primitive.Trigger render={trigger} />
      <Primitive.Portal render={<section aria-label={label} />}>
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
