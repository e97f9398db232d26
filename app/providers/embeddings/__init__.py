"""Texts into vectors: one file a provider, each as wide as the column."""
