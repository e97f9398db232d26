"""Models that think, on each of the four wires, through the whole service: two API processes and a real Supabase."""
