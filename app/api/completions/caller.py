"""Who calls: the one function that knows the callers of the surface of OpenAI's API by their API keys.

Routes below `/openai` use the id of the user alone, never `User.token`: a caller may have no token of Supabase's.
"""

from __future__ import annotations

from app.api.auth import TokenVerifier
from app.api.callers import Authenticate
from app.errors import Unauthenticated
from app.values import User


def completion_caller(verifier: TokenVerifier) -> Authenticate:
    """The function that knows a user by the API key that a client sends as a Bearer token."""

    async def caller(authorization: str) -> User:
        if not authorization:
            raise Unauthenticated("You did not send an API key. Send the user's Supabase access token as the API key.")
        return await verifier.verify(authorization)

    return caller
