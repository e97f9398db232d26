// Calls of functions: `POST /rest/v1/rpc/NAME` with a JSON object of arguments and nothing else, as every turn makes them.
//
// They go past lite, as PostgREST makes them: one prepared statement that takes the arguments as JSON, and one round trip
// for the transaction with its context. Everything else (filters, GET, unknown names and arguments) is lite's.
import { errorAnswer } from './errors.mjs'

const FUNCTIONS = `
  select
    p.proname as name, p.proretset as set, coalesce(p.proargnames, '{}') as names,
    array(
      select pg_catalog.format_type(t.oid, null) from unnest(p.proargtypes) with ordinality as t (oid, nth) order by t.nth
    ) as types,
    p.pronargs - p.pronargdefaults as required
  from pg_catalog.pg_proc as p
  where
    p.pronamespace = 'public'::regnamespace
    and p.prokind = 'f'
    and p.prorettype not in ('void'::regtype, 'trigger'::regtype, 'event_trigger'::regtype)
    and p.provariadic = 0
    -- arguments that are results come last, as those of a table's columns
    and coalesce(p.proargmodes, '{}') <@ '{i,t}'::"char"[]
    -- PostgREST answers a set of single values otherwise
    and (
      not p.proretset
      or p.proargmodes is not null
      or 'c' = (select t.typtype from pg_catalog.pg_type as t where t.oid = p.prorettype)
    )
    -- one whose name several functions have is for lite to choose
    and 1 = (select count(*) from pg_catalog.pg_proc as o where o.proname = p.proname and o.pronamespace = p.pronamespace)`
const OWN_HEADERS = ['prefer', 'range', 'accept-profile']
const MEDIA_TYPE = /^application\/json(;|$)/i
const ACCEPTED = /^(\*\/\*|application\/json)$/i
// what the function has said of its answer, see PostgREST's `response.status` and `response.headers`
const STATED = `current_setting('response.status', true) as status, current_setting('response.headers', true) as stated`
const quoted = (name) => `"${name.replaceAll('"', '""')}"`

export function createCalls({ driver, catalog, schema, context, maxRows }) {
  let known = { version: -1 }
  const statements = new Map()

  /** Every function that can be called here, by its name. */
  async function functions() {
    const version = schema.version()
    if (known.version !== version) {
      const rows = await catalog.driver.unsafe(FUNCTIONS)
      known = { version, byName: new Map(rows.map((row) => [row.name, row])) }
      statements.clear()
    }
    return known.byName
  }

  /** Whether the request is a call that may be answered here, as far as its head tells. */
  function isCall({ method, url, headers }) {
    return (
      method === 'POST' &&
      url.startsWith('/rest/v1/rpc/') &&
      !url.includes('?') &&
      !OWN_HEADERS.some((name) => name in headers) &&
      (headers['content-profile'] ?? 'public') === 'public' &&
      MEDIA_TYPE.test(headers['content-type'] ?? '') &&
      ACCEPTED.test(headers.accept ?? '*/*')
    )
  }

  /** The statement that calls the function with these arguments; null if it does not take them. */
  function statement(called, given) {
    const key = [called.name, ...given].join(' ')
    let text = statements.get(key)
    if (text === undefined) {
      const taken = called.names.slice(0, called.types.length)
      const fits =
        taken.length === called.types.length &&
        taken.every((name) => name !== '') &&
        given.every((name) => taken.includes(name)) &&
        taken.slice(0, called.required).every((name) => given.includes(name))
      if (!fits) return null
      const types = given.map((name) => `${quoted(name)} ${called.types[taken.indexOf(name)]}`)
      const passed = given.map((name) => `${quoted(name)} => a.${quoted(name)}`)
      const call = `public.${quoted(called.name)}(${passed.join(', ')})`
      const from = given.length === 0 ? '' : `from json_to_record($1::json) as a (${types.join(', ')})`
      text = called.set
        ? `select coalesce(json_agg(r), '[]')::text as body, count(*)::integer as rows, ${STATED}
           from (select r.* ${from || 'from (select) as a'}, lateral ${call} as r limit ${maxRows}) as r`
        : `select to_json(${call})::text as body, 1 as rows, ${STATED} ${from}`
      statements.set(key, text)
    }
    return text
  }

  /** Answer the call: {status, headers, body}; null when lite has to. */
  async function answer({ url, method, headers }, claims, content) {
    const given = argumentsIn(content)
    if (given === null) return null
    try {
      const called = (await functions()).get(url.slice('/rest/v1/rpc/'.length))
      const text = called && statement(called, given)
      if (!text) return null
      const entering = context(claims, { method, path: `/rpc/${called.name}`, requestHeaders: headers })
      return answered(await run(entering, text, given.length === 0 ? [] : [content]))
    } catch (error) {
      return errorAnswer(error, claims)
    }
  }

  /** The row that the statement answers, in a transaction of its own. */
  async function run(entering, text, parameters) {
    const session = await driver.reserve()
    try {
      // sent in one piece; after an error what follows fails too, and `commit` rolls back
      const sent = await Promise.allSettled([
        session.unsafe('begin'),
        session.unsafe(entering.sql, entering.parameters, { prepare: true }),
        session.unsafe(text, parameters, { prepare: true, simple: false }),
        session.unsafe('commit'),
      ])
      const failed = sent.find(({ status }) => status === 'rejected')
      if (failed) throw failed.reason
      return sent[2].value[0]
    } finally {
      session.release()
    }
  }

  return { isCall, answer }
}

/** The names in a JSON object of arguments; null for anything else. */
function argumentsIn(content) {
  try {
    const given = JSON.parse(content)
    return given !== null && typeof given === 'object' && !Array.isArray(given) ? Object.keys(given).sort() : null
  } catch {
    return null
  }
}

function answered({ body, rows, status, stated }) {
  const own = Object.assign({}, ...JSON.parse(stated || '[]'))
  return {
    status: Number(status || 200),
    headers: {
      'content-range': rows === 0 ? '*/*' : `0-${rows - 1}/*`,
      'content-type': 'application/json; charset=utf-8',
      ...own,
    },
    body: body ?? 'null',
  }
}
