// The Data API: lite's PostgREST part, changed to use the database as PostgREST does.
//
// It logs in as `authenticator`, which can only become anon, authenticated or service_role. lite would grant everything
// to these roles, but cannot do so as authenticator. So the migrations' grants decide what a request may do.
import { App } from '@supabase/lite'
import { CompiledQuery } from 'kysely'
import { createCalls } from './calls.mjs'
import { apiConnection, catalogConnection } from './connections.mjs'
import { asRaisedError } from './errors.mjs'

const SCHEMAS = ['public']
const MAX_ROWS = 1000
const SEARCH_PATH = '"public", "extensions"'

export async function createRest({ apiUrl, catalogUrl, publishableKey, secretKey }) {
  const catalog = catalogConnection(catalogUrl)
  const schema = createSchemaCache(catalog)
  const connection = apiConnection(apiUrl, await readVectorOids(catalog))
  const roleSettings = await readRoleSettings(catalog)

  connection.introspect = schema.read
  // As in a hosted project, migrations send a notification, and the next request reads the schema again.
  await catalog.driver.listen('pgrst', schema.forget)

  connection.normalizeDbError = asRaisedError
  // One transaction per request, with its whole context set by one statement.
  connection.withContext = (context, run, options) => {
    const enter = async (transaction) => {
      await transaction.executeQuery(sessionContext(context, options?.rpc, roleSettings))
      return run(transaction)
    }
    return options?.transaction ? enter(options.transaction) : connection.kysely.transaction().execute(enter)
  }

  const typeOfKey = new Map([
    [publishableKey, 'publishable'],
    [secretKey, 'secret'],
  ])
  const claimsOf = new WeakMap()
  const callerOf = (key, request) => ({ type: typeOfKey.get(key), claims: claimsOf.get(request) })
  const app = new App({
    connection,
    api: { enabled: true, schemas: SCHEMAS, max_rows: MAX_ROWS },
    auth: { enabled: false },
    options: {
      server: {
        admin: false,
        disableStudio: true,
        apiKeys: {
          // A known key stands for a caller whose token has been checked, so that lite does not check it again.
          resolver: async (key, context) => (typeOfKey.has(key) ? callerOf(key, context.req.raw) : null),
        },
      },
    },
  })
  await app.init()
  await schema.read()

  const calls = createCalls({
    driver: connection.driver,
    catalog,
    schema,
    context: (claims, rpc) => sessionContext({ auth: { jwt: claims } }, rpc, roleSettings),
    maxRows: MAX_ROWS,
  })

  return {
    calls,
    /** Answer a request of a caller with these claims. The request must not have an Authorization header. */
    fetch(request, claims, env) {
      claimsOf.set(request, claims)
      return app.fetch(request, env)
    },
    close: () => Promise.all([connection.close(), catalog.close()]),
  }
}

/**
 * lite's schema of tables and functions, read once for all requests that need it at the same time. It is read on a
 * separate connection, since the catalogue shows a role only what it may use, and authenticator may use nothing.
 */
function createSchemaCache(catalog) {
  let reading = null
  let version = 0
  async function readOnce() {
    const begun = version
    const schema = exposedPart(await catalog.introspect({ useCache: true }))
    // a change during the reading may be missing, so the next request reads again
    if (begun !== version) await catalog.clearSchemaCache()
    return schema
  }
  return {
    version: () => version,
    read: () => (reading ??= readOnce().finally(() => (reading = null))),
    forget: () => {
      version += 1
      return catalog.clearSchemaCache()
    },
  }
}

/** The exposed schemas only: lite finds relations by name alone, and would confuse realtime.messages with ours. */
function exposedPart(schema) {
  const exposed = ({ schema, ref_schema }) => SCHEMAS.includes(schema) && SCHEMAS.includes(ref_schema ?? schema)
  const kinds = ['tables', 'columns', 'indexes', 'primary_keys', 'unique_constraints', 'foreign_keys', 'views']
  return { ...schema, ...Object.fromEntries(kinds.map((kind) => [kind, schema[kind].filter(exposed)])) }
}

/** The ids of an extension's types differ between databases, so they are looked up. */
async function readVectorOids(catalog) {
  const rows = await catalog.driver`
    select t.oid
    from pg_catalog.pg_type as t
    join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
    where n.nspname = 'extensions' and t.typname in ('vector', 'halfvec')`
  return rows.map(({ oid }) => oid)
}

/** PostgREST applies the settings of the role it becomes (`alter role … set …`), such as statement_timeout. */
async function readRoleSettings(catalog) {
  const rows = await catalog.driver`
    select r.rolname as role, split_part(s.setting, '=', 1) as name,
      substr(s.setting, strpos(s.setting, '=') + 1) as value
    from pg_catalog.pg_db_role_setting as d
    join pg_catalog.pg_roles as r on r.oid = d.setrole
    cross join unnest(d.setconfig) as s (setting)
    where r.rolname in ('anon', 'authenticated', 'service_role')`
  return Map.groupBy(rows, (row) => row.role)
}

function sessionContext(context, rpc, roleSettings) {
  const claims = context?.auth?.jwt ?? { role: 'anon' }
  const role = claims.role ?? 'anon'
  const settings = [
    ['role', role],
    ['search_path', SEARCH_PATH],
    ['request.jwt.claims', JSON.stringify(claims)],
    ['request.method', rpc?.method ?? ''],
    ['request.path', rpc?.path ?? ''],
    ['request.headers', JSON.stringify(rpc?.requestHeaders ?? {})],
    ['response.status', ''],
    ['response.headers', ''],
    ...(roleSettings.get(role) ?? []).map(({ name, value }) => [name, value]),
  ]
  if (rpc?.readOnly) settings.push(['transaction_read_only', 'on'])
  const calls = settings.map((_, at) => `set_config($${2 * at + 1}, $${2 * at + 2}, true)`)
  return CompiledQuery.raw(`select ${calls.join(', ')}`, settings.flat())
}
