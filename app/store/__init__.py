"""Storage: everything that Parley keeps, through the Data API of the team's own Supabase project."""
