"""The scripts that the Makefile calls, and the embedded Supabase they run on."""
