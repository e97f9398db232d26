"""Parley: a Supabase-native chat backend."""

__version__ = "1.0.0"
