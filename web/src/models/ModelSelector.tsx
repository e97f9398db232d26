/** Chooses the model and the level of reasoning for the next messages; shown in the composer. */
export function ModelSelector() {
  return null
}
