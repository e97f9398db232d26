"""Charges for what is called outside of replies: embeddings and checks, with the service's key."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from app import watch
from app.store.client import Supabase
from app.store.replies import Charge


class Charges:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def charge(
        self, user_id: str, calls: Sequence[Charge], *, document_id: str | None = None, held: str | None = None
    ) -> None:
        """Enter the calls in the user's ledger. `document_id` is the document that they were made to index, `held` the
        id under which their cost is held, which is released."""
        if not calls and held is None:
            return
        watch.watcher().spent(calls)
        charge = {"id": held or str(uuid.uuid4()), "user_id": user_id, "calls": calls, "document_id": document_id}
        await self._supabase.service_rpc("charge_usage", {"p_charges": [charge]}, bool)
