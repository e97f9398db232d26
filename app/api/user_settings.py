"""`/v1/settings`: what the caller has chosen for all of their conversations."""

from __future__ import annotations

import msgspec
from litestar import Router, get, patch
from litestar.params import JSONBody

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN
from app.api.refusals import problems
from app.api.views import SettingsChanges, SettingsView
from app.errors import InvalidRequest
from app.store.user_settings import UserSettings


def user_settings_routes(settings: UserSettings) -> Router:
    @get("/settings", operation_id="readSettings", response_description="The settings.", responses=problems())
    async def read(user: Caller) -> SettingsView:
        """Read what I have chosen for all of my conversations."""
        return SettingsView.of(await settings.get(user.token))

    @patch(
        "/settings",
        operation_id="changeSettings",
        response_description="The settings as they are now.",
        responses=problems(body=True),
    )
    async def change(user: Caller, data: JSONBody[SettingsChanges]) -> SettingsView:
        """Change what holds for all of my conversations; null removes it."""
        if data.instructions is msgspec.UNSET:
            raise InvalidRequest("body: expected `instructions`.")
        return SettingsView.of(await settings.save(user.token, data.instructions))

    return Router("/v1", route_handlers=[read, change], tags=["settings"], security=USER_TOKEN)
