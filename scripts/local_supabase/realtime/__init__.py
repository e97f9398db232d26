"""The Realtime server of the embedded Supabase: one process with Supabase's protocol, for the official clients."""
