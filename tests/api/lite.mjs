// A project that signs its tokens with HS256: @supabase/lite as it comes, on the tests' database.
import http from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { App } from '@supabase/lite'
import { createPostgresConnection } from '@supabase/lite/postgres'

const [url, jwt_secret, publishable_key, secret_key] = process.argv.slice(2)
const connection = createPostgresConnection({ url, postgresOptions: { max: 2, onnotice() {} } })
connection.rlsState = 'active' // else it would grant everything to everyone
const app = new App({
  connection,
  api: { enabled: true, schemas: ['public'] },
  auth: { enabled: true, jwt_secret, publishable_key, secret_key },
  options: { server: { admin: false, disableStudio: true } },
})
await app.init()
const server = http.createServer(getRequestListener((request, env) => app.fetch(request, env)))
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
