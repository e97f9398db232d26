import type { ComponentProps } from 'react'
import styles from './Button.module.css'

type Kind = 'primary' | 'plain' | 'quiet' | 'danger'

interface ButtonProps extends ComponentProps<'button'> {
  kind?: Kind
  /** Shown instead of nothing while the action runs; the button takes no clicks meanwhile. */
  busy?: boolean
}

/** A button with a text. */
export function Button({ kind = 'plain', busy = false, className = '', disabled, children, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={`${styles.button} ${styles[kind]} ${className}`}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      {...rest}
    >
      {busy && <span className={styles.spinner} aria-hidden="true" />}
      {children}
    </button>
  )
}

interface IconButtonProps extends ComponentProps<'button'> {
  /** What it does; shown as a tooltip by the browser, too. */
  label: string
}

/** A button with an icon alone. */
export function IconButton({ label, className = '', children, ...rest }: IconButtonProps) {
  return (
    <button type="button" className={`${styles.icon} ${className}`} aria-label={label} title={label} {...rest}>
      {children}
    </button>
  )
}
