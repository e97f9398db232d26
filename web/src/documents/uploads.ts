import { asProblem, ProblemError, problemOf } from '../lib/problem'

/** A file on its way to the service, or one that it did not take. */
export interface Upload {
  key: number
  file: File
  problem: ProblemError | null
}

/** What has become of files since it was last asked. */
export interface News {
  refused: readonly Upload[]
  /** The names of those that are documents now; told once nothing is on its way. */
  taken: readonly string[]
}

/** What is shown of the uploads of a person. */
export interface Shown {
  uploads: readonly Upload[]
  /** Whether a page shows them, so that nothing need be told beside it. */
  isWatched: boolean
}

const AT_ONCE = 2

/**
 * The files that one person sends, two at a time, whatever page is shown. What was taken is a document; what was not stays
 * here with the reason, also while the session has ended.
 */
export class Uploads {
  /** Called with each file that was taken, before it goes from here. */
  onTaken: () => Promise<unknown> = () => Promise.resolve()
  #shown: Shown = { uploads: [], isWatched: false }
  #watching = 0
  #keys = 0
  #taken: string[] = []
  readonly #authorized: typeof fetch
  readonly #waiting: Upload[] = []
  readonly #running = new Map<Upload, AbortController>()
  readonly #told = new Set<number>()
  readonly #changed = new EventTarget()

  constructor(authorized: typeof fetch) {
    this.#authorized = authorized
  }

  subscribe = (notify: () => void): (() => void) => {
    this.#changed.addEventListener('change', notify)
    return () => this.#changed.removeEventListener('change', notify)
  }

  shown = (): Shown => this.#shown

  /** Sends files; of a folder it says that it is one. */
  add = (files: Iterable<File>, folders: Iterable<File> = []): void => {
    const made = (file: File, problem: ProblemError | null) => {
      this.#keys += 1
      return { key: this.#keys, file, problem }
    }
    const added = [...files].map((file) => made(file, null))
    const refused = [...folders].map((file) => made(file, new ProblemError({ code: 'folder', status: 0 })))
    this.#show([...added, ...refused, ...this.#shown.uploads])
    this.#waiting.push(...added)
    this.#next()
  }

  dismiss = (key: number): void => this.#show(this.#shown.uploads.filter((one) => one.key !== key))

  retry = (upload: Upload): void => {
    this.dismiss(upload.key)
    this.add([upload.file])
  }

  /** Forgets all files; those on their way are not sent to the end. */
  clear = (): void => {
    this.#waiting.length = 0
    for (const sending of this.#running.values()) sending.abort()
    this.#show([])
  }

  /** To be called while a page shows the uploads. Returns the function that ends it. */
  watch = (): (() => void) => {
    this.#watching += 1
    this.#show(this.#shown.uploads)
    return () => {
      this.#watching -= 1
      this.#show(this.#shown.uploads)
    }
  }

  news(): News {
    const refused = this.#shown.uploads.filter((one) => one.problem && !this.#told.has(one.key))
    for (const one of refused) this.#told.add(one.key)
    const isSending = this.#shown.uploads.some((one) => !one.problem)
    return { refused, taken: isSending ? [] : this.#taken.splice(0) }
  }

  #show(uploads: readonly Upload[]): void {
    this.#shown = { uploads, isWatched: this.#watching > 0 }
    this.#changed.dispatchEvent(new Event('change'))
  }

  #next(): void {
    while (this.#running.size < AT_ONCE) {
      const upload = this.#waiting.shift()
      if (!upload) return
      const sending = new AbortController()
      this.#running.set(upload, sending)
      void this.#send(upload, sending.signal).finally(() => {
        this.#running.delete(upload)
        this.#next()
      })
    }
  }

  async #send(upload: Upload, signal: AbortSignal): Promise<void> {
    const body = new FormData()
    body.append('file', upload.file)
    try {
      const answer = await this.#authorized('/v1/documents', { method: 'POST', body, signal })
      if (!answer.ok) throw await problemOf(answer)
      await this.onTaken()
      if (signal.aborted) return
      this.#taken.push(upload.file.name)
      this.dismiss(upload.key)
    } catch (error) {
      if (signal.aborted) return
      const problem = (await isReadable(upload.file))
        ? asProblem(error)
        : new ProblemError({ code: 'file_unreadable', status: 0 })
      this.#show(this.#shown.uploads.map((one) => (one.key === upload.key ? { ...one, problem } : one)))
    }
  }
}

/** A file that was moved or changed since it was chosen cannot be sent, which looks like a lost connection. */
function isReadable(file: File): Promise<boolean> {
  return file
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => true,
      () => false,
    )
}
