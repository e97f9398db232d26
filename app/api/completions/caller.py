"""Who calls: the one function that knows the callers of the surface of OpenAI's API by their API keys.

Routes below `/openai` use the id of the user alone, never `User.token`: the owner of a personal key has no token.
"""

from __future__ import annotations

from app.api.auth import TokenVerifier, bearer
from app.api.callers import Authenticate
from app.api.key_owners import KeyOwners
from app.errors import Unauthenticated
from app.personal_keys import is_meant_as_key
from app.values import User

WANTED = "Send a personal key (parley_…) or the user's Supabase access token as the API key."


def completion_caller(verifier: TokenVerifier, owners: KeyOwners) -> Authenticate:
    """The function that knows a user by the API key that a client sends as a Bearer token: a personal key or an access
    token."""

    async def caller(authorization: str, address: str) -> User:
        key = bearer(authorization)
        if key is None:
            raise Unauthenticated(f"You did not send an API key. {WANTED}")
        if is_meant_as_key(key):
            return await owners.find(key, address)
        if key.count(".") != 2:  # the parts of a token
            raise Unauthenticated(f"This is neither a personal key nor an access token. {WANTED}")
        return await verifier.verify(authorization)

    return caller
