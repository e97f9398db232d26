import { useState } from 'react'
import { asProblem, type ProblemError } from './problem'

/** Something that is done on demand: `run` does it, once at a time, and keeps why it failed. Whether it has succeeded. */
export function useAction<Given extends unknown[]>(action: (...given: Given) => Promise<unknown>) {
  const [isBusy, setIsBusy] = useState(false)
  const [refusal, setRefusal] = useState<ProblemError | null>(null)
  const run = async (...given: Given): Promise<boolean> => {
    setIsBusy(true)
    setRefusal(null)
    try {
      await action(...given)
      return true
    } catch (error) {
      setRefusal(asProblem(error))
      return false
    } finally {
      setIsBusy(false)
    }
  }
  return { run, isBusy, refusal }
}
