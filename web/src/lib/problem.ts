import { en } from '../i18n/en'
import type { components } from './schema'

type Local = 'offline' | 'unreadable' | 'folder' | 'file_unreadable'
export type ProblemCode = components['schemas']['Problem']['code'] | Local

/**
 * Why a call failed, as the API's problem says it. `offline`: no answer at all; `unreadable`: no problem in the answer;
 * `folder` and `file_unreadable`: what was to be sent is no file, or none that can be read.
 */
export class ProblemError extends Error {
  readonly code: ProblemCode
  /** The HTTP status; 0 where nothing answered. */
  readonly status: number
  /** A sentence for people, in English, where the API gave one. */
  readonly detail: string | null
  readonly requestId: string | null
  /** Seconds after which the same call may succeed. */
  readonly retryAfter: number | null

  constructor(given: {
    code: ProblemCode
    status: number
    detail?: string | null
    requestId?: string | null
    retryAfter?: number | null
  }) {
    super(given.detail ?? given.code)
    this.name = 'ProblemError'
    this.code = given.code
    this.status = given.status
    this.detail = given.detail ?? null
    this.requestId = given.requestId ?? null
    this.retryAfter = given.retryAfter ?? null
  }
}

/** The problem that an answer which is not `ok` holds. Reads its body. */
export async function problemOf(answer: Response): Promise<ProblemError> {
  const body = (await answer.json().catch(() => null)) as Partial<components['schemas']['Problem']> | null
  const seconds = Number(answer.headers.get('Retry-After') ?? Number.NaN)
  return new ProblemError({
    code: body?.code && isKnown(body.code) ? body.code : 'unreadable',
    status: answer.status,
    detail: body?.detail ?? body?.title ?? null,
    requestId: body?.request_id ?? answer.headers.get('X-Request-ID'),
    retryAfter: Number.isFinite(seconds) ? seconds : null,
  })
}

/** A newer service, or one in between, may have codes that this page has no words for. */
const isKnown = (code: string) => Object.hasOwn(en.problems, code)

/** What an unknown thrown value says, as a problem. */
export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error
  // a fetch that got no answer throws a TypeError, in every browser
  if (error instanceof TypeError) return new ProblemError({ code: 'offline', status: 0 })
  return new ProblemError({ code: 'unreadable', status: 0, detail: error instanceof Error ? error.message : null })
}
