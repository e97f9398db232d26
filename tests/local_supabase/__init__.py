"""Tests of the embedded Supabase: that what is proven on it holds on a hosted project."""
