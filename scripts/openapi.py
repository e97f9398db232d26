"""`make openapi`: writes `docs/openapi.json`, the committed copy of the answer of `GET /schema/openapi.json`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from app.main import create_app
from app.settings import Settings

COPY = Path(__file__).parent.parent / "docs" / "openapi.json"


async def render() -> str:
    """The document as it is committed. It does not depend on settings."""
    settings = Settings(supabase_url="http://127.0.0.1:54321", supabase_publishable_key="", supabase_secret_key="")
    app = create_app(settings)
    try:
        return json.dumps(app.openapi_schema.to_schema(), indent=2, ensure_ascii=False) + "\n"
    finally:
        await app.state.service.supabase.aclose()


if __name__ == "__main__":
    COPY.write_text(asyncio.run(render()))
