"""`python -m app check`: proves a configuration before it serves."""
