"""`GET /v1/models`: what may be chosen, and how healthy it is."""
