// A signed-in client: its token stands in the page's address.
const session = { access_token: new URLSearchParams(location.search).get("token") };
export const supabase = { auth: { getSession: async () => ({ data: { session } }) } };
