"""The Realtime server of the embedded Supabase: Supabase's wire protocol for the official clients, one process."""
