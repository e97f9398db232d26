/** Whether the user is writing in a field: what comes late leaves the focus there. */
export function isWriting(): boolean {
  const at = document.activeElement
  return (at instanceof HTMLTextAreaElement || at instanceof HTMLInputElement) && at.value !== ''
}
