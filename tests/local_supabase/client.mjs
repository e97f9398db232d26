// What an application does with supabase-js, written as an application would; prints what it saw as JSON.
import { createClient } from '@supabase/supabase-js'

const [url, key, email] = process.argv.slice(2)
const password = 'correct horse'
const client = createClient(url, key)
const seen = {}

const signedUp = await client.auth.signUp({ email, password })
seen.signedUp = signedUp.error ?? signedUp.data.user.email
await client.auth.signOut()
seen.signedOut = (await client.auth.getSession()).data.session
const refused = await client.auth.signInWithPassword({ email, password: 'wrong' })
seen.refused = refused.error.code
const signedIn = await client.auth.signInWithPassword({ email, password })
seen.signedIn = signedIn.error ?? signedIn.data.user.id
// checks the signature itself, with the published keys
const claims = await client.auth.getClaims()
seen.claims = claims.error ?? [claims.data.header.alg, claims.data.claims.sub]
const inserted = await client.from('conversations').insert({ title: 'from js' }).select().single()
seen.inserted = inserted.error ?? [inserted.data.title, inserted.data.user_id]
const listed = await client.from('conversations').select('title').order('created_at').limit(10)
seen.listed = listed.error ?? listed.data
const missing = await client.from('conversations').select().eq('title', 'none').maybeSingle()
seen.missing = missing.error ?? missing.data
const forbidden = await client
  .from('entitlements')
  .insert({ user_id: signedIn.data.user.id, plan: 'premium' })
seen.forbidden = forbidden.error.code
const updated = await client.auth.updateUser({ data: { theme: 'dark' } })
seen.updated = updated.error ?? updated.data.user.user_metadata.theme
const refreshed = await client.auth.refreshSession()
seen.refreshed = refreshed.error ?? refreshed.data.user.id
const matched = await client.rpc('match_embeddings', {
  query_embedding: Array(1536).fill(0.1),
  match_threshold: 0.5,
  match_count: 3,
})
seen.matched = matched.error ?? matched.data
console.log(JSON.stringify(seen))
