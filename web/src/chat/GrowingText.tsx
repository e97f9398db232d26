import { type KeyboardEvent, type Ref, useImperativeHandle, useLayoutEffect, useRef } from 'react'
import { isComposing } from '../lib/keys'
import styles from './ChatInput.module.css'

/** A text field that is as high as its text. Enter submits, Shift+Enter makes a line; Enter that ends a composition (IME) does neither. */
export function GrowingText({
  value,
  onChange,
  onEnter,
  label,
  placeholder,
  isFocused = false,
  ref,
}: {
  value: string
  onChange: (value: string) => void
  onEnter: () => void
  label: string
  placeholder?: string
  isFocused?: boolean
  ref?: Ref<HTMLTextAreaElement>
}) {
  const field = useRef<HTMLTextAreaElement>(null)
  useImperativeHandle(ref, () => field.current as HTMLTextAreaElement, [])
  useLayoutEffect(() => {
    if (!isFocused || !field.current) return
    field.current.focus()
    field.current.setSelectionRange(field.current.value.length, field.current.value.length)
  }, [isFocused])
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || isComposing(event)) return
    event.preventDefault()
    onEnter()
  }
  return (
    <div className={styles.growing}>
      {/* the same text gives the field its height, so that typing reads no sizes */}
      <div aria-hidden className={styles.mirror}>
        {value}
        {'\n'}
      </div>
      <textarea
        ref={field}
        rows={1}
        dir="auto"
        enterKeyHint="send"
        value={value}
        placeholder={placeholder}
        aria-label={label}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={onKeyDown}
      />
    </div>
  )
}
