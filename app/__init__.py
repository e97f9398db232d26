"""Parley: a Supabase-native chat backend."""
