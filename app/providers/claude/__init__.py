"""Claude: Anthropic's messages API."""
