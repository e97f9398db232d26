"""Providers: one folder each, with the official SDK behind the same methods."""
