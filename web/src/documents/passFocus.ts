/** Before a row goes with its button, gives the focus to the same of the row below or above, else to the choice of files. */
export function passFocus(button: HTMLElement): void {
  const rows = [...(button.closest('ul')?.children ?? [])]
  const at = rows.findIndex((row) => row.contains(button))
  const beside = (rows[at + 1] ?? rows[at - 1])?.querySelector<HTMLElement>('button:last-of-type')
  const next = beside ?? button.closest('main')?.querySelector<HTMLElement>('button')
  next?.focus()
}
