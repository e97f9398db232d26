import { useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useEffect, useRef, useSyncExternalStore } from 'react'
import { useTexts } from '../i18n/texts'
import { useServices } from '../lib/services'
import { useSession } from '../lib/session'
import { useTell } from '../ui/Toasts'
import { UploadProblem } from './UploadProblem'
import { type Upload, Uploads } from './uploads'
import { DOCUMENTS } from './useDocuments'

const REFUSED_MS = 20_000

/** Of each person that has signed in at this page: a session that has ended loses no file. */
const kept = new WeakMap<typeof fetch, Map<string, Uploads>>()

function uploadsOf(authorized: typeof fetch, userId: string): Uploads {
  const ofAll = kept.get(authorized) ?? new Map<string, Uploads>()
  kept.set(authorized, ofAll)
  const own = ofAll.get(userId) ?? new Uploads(authorized)
  ofAll.set(userId, own)
  return own
}

const UploadsContext = createContext<Uploads | null>(null)

/** Sends the files of who is signed in, and tells what has become of them where no page shows it. */
export function UploadsProvider({ children }: { children: ReactNode }) {
  const { authorized } = useServices()
  const session = useSession()
  const uploads = session ? uploadsOf(authorized, session.user.id) : null
  return (
    <UploadsContext value={uploads}>
      {uploads && <Teller uploads={uploads} />}
      {children}
    </UploadsContext>
  )
}

function Teller({ uploads }: { uploads: Uploads }) {
  const { documents } = useTexts()
  const queries = useQueryClient()
  const tell = useTell()
  const shown = useSyncExternalStore(uploads.subscribe, uploads.shown)
  const { isWatched } = shown
  const isSending = shown.uploads.some((one) => !one.problem)
  useEffect(() => {
    uploads.onTaken = () => queries.invalidateQueries({ queryKey: DOCUMENTS })
  }, [uploads, queries])

  const telling = useRef({ tell, documents })
  useEffect(() => {
    telling.current = { tell, documents }
  })
  const refusals = useRef<(() => void)[]>([])
  useEffect(() => {
    const { tell, documents } = telling.current
    const { refused, taken } = uploads.news()
    if (shown.isWatched) {
      for (const takeAway of refusals.current.splice(0)) takeAway()
      return
    }
    for (const { file, problem } of refused) {
      const text = problem && <UploadProblem problem={problem} />
      refusals.current.push(tell(documents.notAdded(file.name), { text, milliseconds: REFUSED_MS }))
    }
    if (taken.length) tell(documents.taken(taken))
  }, [uploads, shown])
  useEffect(() => {
    if (isSending && !isWatched) return telling.current.tell(telling.current.documents.sending)
  }, [isSending, isWatched])
  useEffect(() => {
    if (!isSending) return
    // closing the page would lose what is on its way: the browser asks
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    window.addEventListener('beforeunload', ask)
    return () => window.removeEventListener('beforeunload', ask)
  }, [isSending])
  return null
}

/** The files that the user sends: for what adds to them. */
export function useUploads(): Uploads {
  const uploads = useContext(UploadsContext)
  if (!uploads) throw new Error('useUploads needs an UploadsProvider around it, and a signed-in user')
  return uploads
}

/** The files that the user sends, for the page that shows them. */
export function useShownUploads(): readonly Upload[] {
  const uploads = useUploads()
  useEffect(() => uploads.watch(), [uploads])
  return useSyncExternalStore(uploads.subscribe, uploads.shown).uploads
}
