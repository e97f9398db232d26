/** Whether the next messages use the user's documents; shown in the composer. */
export function DocumentsSwitch() {
  return null
}
