import { useState } from 'react'
import { useTexts } from '../i18n/texts'
import { useTell } from '../ui/Toasts'
import { useIsGone } from './gone'
import { asProblem, type ProblemError } from './problem'

/**
 * Something that is done on demand: `run` does it, once at a time, and keeps why it failed. Whether it has succeeded. What
 * fails after its component is gone is told beside the page.
 */
export function useAction<Given extends unknown[]>(action: (...given: Given) => Promise<unknown>) {
  const { problems } = useTexts()
  const tell = useTell()
  const isGone = useIsGone()
  const [isBusy, setIsBusy] = useState(false)
  const [refusal, setRefusal] = useState<ProblemError | null>(null)
  const run = async (...given: Given): Promise<boolean> => {
    setIsBusy(true)
    setRefusal(null)
    try {
      await action(...given)
      return true
    } catch (error) {
      const problem = asProblem(error)
      setRefusal(problem)
      if (isGone.current) tell(problems[problem.code].title)
      return false
    } finally {
      setIsBusy(false)
    }
  }
  return { run, isBusy, refusal }
}
