"""The demo: answers and makes vectors offline, without any provider."""
