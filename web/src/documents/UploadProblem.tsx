import { useLanguage } from '../i18n/texts'
import type { ProblemError } from '../lib/problem'

/** Why a file was not taken, in one line. */
export function UploadProblem({ problem }: { problem: ProblemError }) {
  const { texts, language } = useLanguage()
  const { title, text } = texts.problems[problem.code]
  return (
    <>
      {title}
      {': '}
      {problem.detail ? <span lang={language === 'en' ? undefined : 'en'}>{problem.detail}</span> : text}
    </>
  )
}
