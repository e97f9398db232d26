"""`python -m tests.toy`: the API server with the toy among its providers."""

from app.providers.registry import PROVIDERS
from tests.toy.description import TOY

PROVIDERS.register(TOY)

import app.__main__  # noqa: E402, F401 - reads the registry, and serves
