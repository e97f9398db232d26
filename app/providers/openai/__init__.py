"""OpenAI, and every server with a compatible chat completions API."""
