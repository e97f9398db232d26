"""`python -m app`: the API server."""

from app.serve import main

main()
