"""`python -m app check`."""
