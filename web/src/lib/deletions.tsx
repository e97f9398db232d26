import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from 'react'
import { useTexts } from '../i18n/texts'
import { useTell } from '../ui/Toasts'
import { asProblem, problemOf } from './problem'
import { useServices } from './services'
import { beforeSigningOut } from './session'

/** Long enough to read what was deleted, and to reach the button by keyboard. */
const UNDO_MS = 10_000

interface Given {
  onUndo?: () => void
  /** Called once it is deleted. */
  onDone?: () => void
}

interface Deletions {
  /** Whether the thing at this path of the API is on its way out, so that it is not shown. */
  isGoing: (path: string) => boolean
  /** Hides it, says so, and deletes it unless it is taken back within some seconds. */
  remove: (path: string, told: string, given?: Given) => void
}

const DeletionsContext = createContext<Deletions | null>(null)

/** Deletes things after a moment in which the user can take it back. Leaving the page deletes at once. */
export function DeletionsProvider({ children }: { children: ReactNode }) {
  const { authorized } = useServices()
  const texts = useTexts()
  const tell = useTell()
  const [going, setGoing] = useState<ReadonlySet<string>>(new Set())
  /** Those that can be taken back, each with what carries it out. */
  const undecided = useRef(new Set<() => Promise<void>>())

  const show = useCallback(
    (path: string) => setGoing((before) => new Set([...before].filter((one) => one !== path))),
    [],
  )

  const remove = (path: string, told: string, { onUndo, onDone }: Given = {}) => {
    setGoing((before) => new Set(before).add(path))
    const carryOut = async () => {
      if (!undecided.current.delete(carryOut)) return
      takeAway() // it cannot be taken back any more
      try {
        const answer = await authorized(path, { method: 'DELETE', keepalive: true })
        if (!answer.ok && answer.status !== 404) throw await problemOf(answer)
        onDone?.()
      } catch (error) {
        show(path)
        tell(texts.problems[asProblem(error).code].title)
      }
    }
    undecided.current.add(carryOut)
    const takeAway = tell(told, {
      milliseconds: UNDO_MS,
      undo: () => {
        if (!undecided.current.delete(carryOut)) return
        show(path)
        onUndo?.()
      },
      onGone: () => void carryOut(),
    })
  }

  useEffect(() => {
    const carryOutAll = () => Promise.all([...undecided.current].map((carryOut) => carryOut()))
    const leave = () => {
      if (document.visibilityState === 'hidden') void carryOutAll()
    }
    document.addEventListener('visibilitychange', leave)
    const staying = beforeSigningOut(carryOutAll)
    return () => {
      document.removeEventListener('visibilitychange', leave)
      staying()
    }
  }, [])

  const removeNow = useRef(remove)
  useEffect(() => {
    removeNow.current = remove
  })
  const value = useMemo<Deletions>(
    () => ({
      isGoing: (path) => going.has(path),
      remove: (path, told, given) => removeNow.current(path, told, given),
    }),
    [going],
  )
  return <DeletionsContext value={value}>{children}</DeletionsContext>
}

export function useDeletions(): Deletions {
  const deletions = useContext(DeletionsContext)
  if (!deletions) throw new Error('useDeletions needs a DeletionsProvider around it')
  return deletions
}
