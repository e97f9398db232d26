"""Replay: sends recorded calls again, to check that a database still accepts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import httpx

from scripts.calls.kinds import missing
from scripts.calls.recorder import DATA_API, User, refusal
from scripts.calls.tape import Call, Caller
from scripts.local_supabase import LocalSupabase


def broken(calls: Sequence[Call], stack: LocalSupabase, user: User) -> Iterator[str]:
    """Make the calls in order, as `user` and as the service. Yields a line for each difference from the recording."""
    names = user.names
    headers: dict[Caller, dict[str, str]] = {
        "anon": {"apikey": stack.publishable_key},
        "user": {"apikey": stack.publishable_key, "Authorization": f"Bearer {user.token}"},
        "service": {"apikey": stack.secret_key, "Authorization": f"Bearer {stack.secret_key}"},
    }
    with httpx.Client(base_url=stack.url + DATA_API, timeout=30) as client:
        for number, call in enumerate(calls):
            title = f"call {number}, {call}"
            try:
                query = [(name, names.fill(value)) for name, value in call.query]
                body = names.fill(call.body)
            except LookupError as error:
                yield f"{title}: cannot be made, because an earlier answer has no {error}"
                return
            response = client.request(
                call.method,
                call.path,
                params=query,
                headers=headers[call.caller] | ({"Prefer": call.prefer} if call.prefer else {}),
                json=body,
            )
            answer = response.json() if response.content else None
            names.learn(answer)
            refused = refusal(response.status_code, answer)
            if (response.status_code, refused) != (call.status, call.error):
                yield f"{title}: {response.status_code} {response.text}, not {call.status} {call.error or ''}"
            elif refused is None:
                yield from (f"{title}: {what}" for what in missing(call.answer, answer))
