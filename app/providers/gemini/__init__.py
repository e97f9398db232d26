"""Gemini, by Google's Gemini API with an API key."""
