"""Claude, by Anthropic's messages API."""
