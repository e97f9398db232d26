"""Gemini: Google's Gemini API, with a key."""
