"""Plans for tests: limits as tight as a test wants them, for its own users only."""

from __future__ import annotations

import uuid
from uuid import UUID

from psycopg import sql

from tests.support.callers import Connection


def new_plan(db: Connection, **limits: int | bool) -> str:
    """A plan with these columns; what is not named is the service's setting. Its name."""
    name = f"plan-{uuid.uuid4().hex[:12]}"
    columns = {"plan": name, **limits}
    db.execute(
        sql.SQL("insert into private.plans ({}) values ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(map(sql.Placeholder, columns))
        ),
        columns,
    )
    return name


def entitle(db: Connection, user_id: UUID | str | None, plan: str, valid_until: str | None = None) -> None:
    """Give the user the plan instead of what they had. `valid_until` in Postgres' words, e.g. `now() + '1 day'`."""
    db.execute(
        f"insert into public.entitlements (user_id, plan, valid_until) values (%s, %s, {valid_until or 'null'}) "  # noqa: S608
        "on conflict (user_id) do update set plan = excluded.plan, valid_until = excluded.valid_until",
        [user_id, plan],
    )
