"""One file a provider, each the official SDK behind the same verbs."""
