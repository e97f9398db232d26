import type { Texts } from '../i18n/texts'
import type { ProblemError } from '../lib/problem'

/** What went wrong, in a sentence of the shown language. Where the language has none for it, the API's own. */
export function problemText({ problems }: Texts, { code, detail }: ProblemError): string {
  const said: unknown = (problems as Record<string, unknown>)[code]
  return typeof said === 'string' ? said : (detail ?? problems.internal_error)
}
