// Errors: turns Postgres errors into answers, by PostgREST's table of SQLSTATEs and HTTP statuses.
// https://docs.postgrest.org/en/stable/references/errors.html#status-codes

import { inspect } from 'node:util'

const BY_CODE = { 23503: 409, 23505: 409, 25006: 405, 21000: 500, 22023: 400, 53400: 500, P0001: 400 }
const BY_CLASS = {
  '08': 503,
  '09': 500,
  '0L': 403,
  '0P': 403,
  25: 500,
  28: 403,
  '2D': 500,
  38: 500,
  39: 500,
  '3B': 500,
  40: 500,
  53: 503,
  54: 500,
  55: 500,
  57: 500,
  58: 500,
  F0: 500,
  HV: 500,
  P0: 500,
  XX: 500,
}
const SPECIAL = { 42883: 404, '42P01': 404, '42P17': 500, '57P01': 503 }

function statusOf(code) {
  return SPECIAL[code] ?? BY_CODE[code] ?? BY_CLASS[code.slice(0, 2)] ?? 400
}

/** The answer of a statement that has failed, as PostgREST gives it to a caller with these claims. */
export function errorAnswer(error, claims) {
  if (error?.name !== 'PostgresError') {
    // the driver's, of a connection that is lost or was refused
    if (!/^(CONNECTION_|CONNECT_|E[A-Z]+$)/.test(error?.code)) throw error
    const message = 'Database client error. Retrying the connection.'
    return answerOf(503, { code: 'PGRST001', details: null, hint: null, message })
  }
  const { code, message, detail = null, hint = null } = error
  if (code === 'PGRST') {
    const { status, headers } = JSON.parse(detail)
    return answerOf(status, JSON.parse(message), headers)
  }
  const status = code.startsWith('PT')
    ? Number(code.slice(2))
    : code === '42501'
      ? ((claims.role ?? 'anon') === 'anon' ? 401 : 403)
      : statusOf(code)
  return answerOf(status, { code, details: detail, hint, message })
}

const answerOf = (status, body, headers) => ({
  status,
  headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  body: JSON.stringify(body),
})

/**
 * lite answers 500 "SUP" for SQLSTATEs that it does not know, without the message. But it renders the error of
 * `raise sqlstate 'PGRST' using message = '{…}', detail = '{…}'` exactly, so all other errors are turned into that form.
 * Errors with codes that lite maps itself (PGRST, PT…, and 42501, whose status depends on the caller) are not changed.
 */
export function asRaisedError(error) {
  if (error?.name !== 'PostgresError') return error
  const { code, message, detail = null, hint = null } = error
  // lite prints this error. Messages may contain users' data, so only the code is printed.
  const printed = { [inspect.custom]: () => `database error ${code}` }
  if (code === 'PGRST' || code === '42501' || code.startsWith('PT'))
    return { code, message, detail, hint, ...printed }
  return {
    code: 'PGRST',
    message: JSON.stringify({ code, message, details: detail, hint }),
    detail: JSON.stringify({ status: statusOf(code), headers: {} }),
    ...printed,
  }
}
