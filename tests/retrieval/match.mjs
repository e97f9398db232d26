// What an application does with supabase-js to search with a vector of its own; prints the answer as JSON.
import { createClient } from '@supabase/supabase-js'

const [url, key, token, functionName, body] = process.argv.slice(2)
const client = createClient(url, key, { accessToken: async () => token || null })
console.log(JSON.stringify(await client.rpc(functionName, JSON.parse(body))))
