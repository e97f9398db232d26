"""A provider in a folder of its own, as somebody would add one (docs/providers.md); the test is that it is enough."""
