"""The demo: answers and makes vectors offline, without an AI provider."""
