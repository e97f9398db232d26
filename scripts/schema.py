"""`make schema`: writes `supabase/schema`, which has the current definition of each database function.

A migration that changes a function repeats all of it, so the current body is in the last of several migrations. Here
every function has one file, made from the catalog of a database with all migrations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row

from scripts.local_supabase import LocalSupabase

FOLDER = Path(__file__).parent.parent / "supabase" / "schema"
HEADER = "-- Written by `make schema` from the migrations: to change it, add a migration.\n"

_VOLATILITY = {"i": "immutable", "s": "stable", "v": None}
_PARALLEL = {"s": "parallel safe", "r": "parallel restricted", "u": None}
_FUNCTIONS = """
select
  n.nspname as schema, p.proname as name, l.lanname as language, p.prosrc as body,
  p.provolatile as volatility, p.proparallel as parallel, p.prosecdef as definer, p.proisstrict as strict,
  p.proretset and p.proargmodes is not null as returns_table,
  format_type(p.prorettype, null) as returns,
  oidvectortypes(p.proargtypes) as types,
  coalesce(p.proconfig, '{}') as settings,
  coalesce(obj_description(p.oid, 'pg_proc'), '') as comment,
  (
    select coalesce(array_agg(array[
      coalesce(p.proargmodes[a.place], 'i')::text, p.proargnames[a.place], format_type(a.type, null),
      pg_get_function_arg_default(p.oid, a.place::integer)
    ] order by a.place), '{}')
    from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as a (type, place)
  ) as arguments,
  (
    select coalesce(array_agg(distinct r.rolname::text order by r.rolname::text), '{}')
    from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as x
    cross join lateral (
      select coalesce((select g.rolname from pg_roles as g where g.oid = x.grantee), 'public') as rolname
    ) as r
    where x.grantee <> p.proowner
  ) as callers,
  (
    select coalesce(array_agg(pg_get_triggerdef(t.oid) order by t.tgname), '{}')
    from pg_trigger as t where t.tgfoid = p.oid
  ) as triggers
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
join pg_language as l on l.oid = p.prolang
where
  n.nspname in ('public', 'private')
  and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')
order by n.nspname, p.proname, p.proargtypes
"""


@dataclass(frozen=True)
class _Function:
    """A row of the catalog. Each of the `arguments` is [mode, name, type, default]."""

    schema: str
    name: str
    language: str
    body: str
    volatility: str
    parallel: str
    definer: bool
    strict: bool
    returns_table: bool
    returns: str
    types: str
    settings: Sequence[str]
    comment: str
    arguments: Sequence[Sequence[str | None]]
    callers: Sequence[str]
    triggers: Sequence[str]

    @property
    def signature(self) -> str:
        return f"{self.schema}.{self.name}({self.types})"

    def sql(self) -> str:
        """The statements that create the function as it is now."""
        given = [_argument(*rest) for mode, *rest in self.arguments if mode != "t"]
        columns = [f"{name} {kind}" for mode, name, kind, _ in self.arguments if mode == "t"]
        returns = f"table {_listed(columns)}" if self.returns_table else self.returns
        quote = "$$" if "$$" not in self.body else "$body$"
        lines = [
            *(f"-- {trigger}" for trigger in self.triggers),
            f"create or replace function {self.schema}.{self.name}{_listed(given)} returns {returns}",
            f"language {self.language}",
            _VOLATILITY[self.volatility],
            _PARALLEL[self.parallel],
            "strict" if self.strict else None,
            "security definer" if self.definer else "security invoker",
            *(_setting(*one.split("=", 1)) for one in self.settings),
            f"as {quote}{self.body}{quote};",
        ]
        if self.comment:
            lines += ["", f"comment on function {self.signature} is", f"{_literal(self.comment)};"]
        if self.callers:
            lines += ["", f"grant execute on function {self.signature} to {', '.join(self.callers)};"]
        return "\n".join(line for line in lines if line is not None) + "\n"


def _argument(name: str | None, kind: str | None, default: str | None) -> str:
    if default is None:
        return f"{name} {kind}"
    return f"{name} {kind} default {'null' if default.startswith('NULL::') else default}"


def _listed(parts: Sequence[str]) -> str:
    return "(\n  " + ",\n  ".join(parts) + "\n)" if parts else "()"


def _setting(name: str, value: str) -> str:
    # the catalog keeps an empty search_path as a quoted name
    return f"set {name} = " + _literal(value.strip('"'))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def render(connection: psycopg.Connection[Any]) -> dict[Path, str]:
    """The files of `supabase/schema` for this database, by their path inside it."""
    with connection.transaction(), connection.cursor(row_factory=class_row(_Function)) as cursor:
        # names outside pg_catalog come with their schema
        cursor.execute("set local search_path = ''")
        functions = cursor.execute(_FUNCTIONS).fetchall()
    files: dict[Path, str] = {}
    for function in functions:
        path = Path(function.schema, f"{function.name}.sql")
        # overloads share a file
        files[path] = files[path] + "\n" + function.sql() if path in files else HEADER + "\n" + function.sql()
    return files


def committed() -> dict[Path, str]:
    """The files as they are in the repository."""
    return {path.relative_to(FOLDER): path.read_text() for path in FOLDER.rglob("*.sql")}


def main() -> None:
    with LocalSupabase.throwaway() as stack, psycopg.connect(stack.database_url) as connection:
        files = render(connection)
    for gone in committed().keys() - files.keys():
        (FOLDER / gone).unlink()
    for path, text in files.items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_text(text)
    print(f"{len(files)} functions are written to {FOLDER.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
