// The database connections for lite, and the JSON form of values.
import { createPostgresConnection } from '@supabase/lite/postgres'

// Postgres prints 2026-01-02 03:04:05.6+00 where PostgREST answers 2026-01-02T03:04:05.6+00:00.
const toIso = (text) => text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00')
// Supabase Auth is written in Go, which prints UTC as Z.
const toGoTime = (text) => text.replace(' ', 'T').replace(/\+00$/, 'Z')

// lite passes JSON as text to some statements (function arguments) and as a value to others (columns).
// The driver would quote such a text again, so text that already is JSON is not changed.
function jsonText(value) {
  if (typeof value !== 'string') return JSON.stringify(value)
  try {
    JSON.parse(value)
    return value
  } catch {
    return JSON.stringify(value)
  }
}
const json = (oid) => ({ to: oid, from: [oid], serialize: jsonText, parse: JSON.parse })

// The driver does not know pgvector's types. A vector comes as a list of numbers or as pgvector's text, which looks
// like one.
const vector = (oid) => ({
  to: oid,
  from: [oid],
  serialize: (value) => (Array.isArray(value) ? JSON.stringify(value) : value),
  parse: (text) => text,
})

function connection(url, max, timestamp, timestamptz, vectorOids = []) {
  return createPostgresConnection({
    url,
    postgresOptions: {
      // Must be a number here: as text in the URL it would make a pool with one connection.
      max,
      onnotice: () => {},
      types: {
        json: json(114),
        jsonb: json(3802),
        timestamp: { to: 1114, from: [1114], serialize: (value) => value, parse: timestamp },
        timestamptz: { to: 1184, from: [1184], serialize: (value) => value, parse: timestamptz },
        ...Object.fromEntries(vectorOids.map((oid) => [`vector${oid}`, vector(oid)])),
      },
    },
  })
}

export const apiConnection = (url, vectorOids) => connection(url, 10, toIso, toIso, vectorOids)
export const authConnection = (url) => connection(url, 5, toGoTime, toGoTime)
export const catalogConnection = (url) => connection(url, 1, toIso, toIso)
