"""What is granted to the API roles is exactly what is written down here, whatever the project granted by default."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from psycopg import sql

from scripts.local_supabase import LocalSupabase
from tests.support.callers import ANON, Caller, Connection, acting, one

ROOT = Path(__file__).parents[2]
MIGRATIONS = sorted((ROOT / "supabase" / "migrations").glob("*.sql"))
API_ROLES = ("anon", "authenticated", "service_role")

Grants = set[tuple[str, str, str]]

# (role, table, privileges on the whole table); no line, no privilege
TABLES = """
authenticated  public.conversations      select delete
authenticated  public.documents          select delete
authenticated  public.embeddings         select
authenticated  public.entitlements       select
authenticated  public.messages           select
authenticated  public.user_settings      select delete
authenticated  private.passage_counts    select
service_role   private.carried_costs     select
service_role   private.document_passages  select delete
service_role   private.idempotency_keys  select insert update delete
service_role   private.index_jobs        select update delete
service_role   private.live_replies      select insert update delete
service_role   private.imports           select delete
service_role   private.meters            select delete
service_role   private.moderation_audit  select insert delete
service_role   private.model_prices      select insert update delete
service_role   private.personal_keys     select delete
service_role   private.plan_models       select insert update delete
service_role   private.plans             select insert update delete
service_role   private.reservations      select update delete
service_role   private.settings          select update
service_role   private.usage_ledger      select insert delete
service_role   private.usage_sums        select insert update
service_role   public.conversations      select insert update delete
service_role   public.documents          select insert update delete
service_role   public.embeddings         select insert update delete
service_role   public.entitlements       select insert update delete
service_role   public.messages           select insert update delete
service_role   public.user_settings      select insert update delete
"""

# (role, table, privilege: columns), where the whole table is not granted
COLUMNS = """
authenticated  public.conversations  insert id
authenticated  public.conversations  insert instructions
authenticated  public.conversations  update instructions
authenticated  public.user_settings  insert instructions
authenticated  public.user_settings  insert user_id
authenticated  public.user_settings  update instructions
authenticated  public.conversations  insert model
authenticated  public.conversations  insert title
authenticated  public.conversations  insert user_id
authenticated  public.conversations  update model
authenticated  public.conversations  update title
"""

# (role, function, privilege); an overload would appear here too
FUNCTIONS = """
authenticated  private.begin_import(integer)                                                                execute
authenticated  private.admit_request(text,boolean,text)                                                     execute
authenticated  private.begin_turn(uuid,uuid,uuid,text,uuid,text,text,integer,jsonb,uuid,boolean)            execute
authenticated  private.begin_chat_turn(uuid,uuid,text,text,text,boolean,boolean,text,text[],text,text,integer,jsonb)  execute
authenticated  private.charge_search(text,integer)                                                          execute
authenticated  private.chat_conversation(text)                                                              execute
authenticated  private.check_search(double precision,integer,jsonb)                                         execute
authenticated  private.create_document(text,jsonb,text,jsonb,text,uuid,text,integer,integer)                execute
authenticated  private.delete_my_data()                                                                     execute
authenticated  private.delete_message(uuid)                                                                 execute
authenticated  private.estimate_turn(uuid,text,integer,jsonb,uuid,boolean)                                  execute
authenticated  private.export_messages(uuid,bigint)                                                         execute
authenticated  private.find_answers(text,jsonb,integer,jsonb,boolean)                                       execute
authenticated  private.find_embeddings(extensions.vector,double precision,integer,jsonb,text)               execute
authenticated  private.find_passages(text,extensions.vector,double precision,integer,jsonb,text)            execute
authenticated  private.forget_my_imports()                                                                  execute
authenticated  private.found_texts(text,integer,text)                                                       execute
authenticated  private.hybrid_passages(text,extensions.vector,double precision,integer,jsonb,text)          execute
authenticated  private.may_receive(text)                                                                    execute
authenticated  private.model_to_search(text)                                                                execute
authenticated  private.my_models(jsonb)                                                                     execute
authenticated  private.my_usage()                                                                           execute
authenticated  private.nearest_by_index(uuid,extensions.vector,integer,jsonb,text,bigint[])                 execute
authenticated  private.nearest_by_rank(uuid,extensions.vector,integer,jsonb,text,bigint[])                  execute
authenticated  private.nearest_passages(extensions.vector,integer,jsonb,text)                               execute
authenticated  private.passage_words(jsonb,text)                                                            execute
authenticated  private.passages_with_words(text,integer,jsonb,text)                                         execute
authenticated  private.plant_tree(uuid)                                                                     execute
authenticated  private.prefers_index(uuid,text,integer)                                                     execute
authenticated  private.ranked_passages()                                                                    execute
authenticated  private.query_patterns(text)                                                                 execute
authenticated  private.query_vector(extensions.vector)                                                      execute
authenticated  private.read_branch(uuid,bigint,bigint,uuid,uuid,boolean,integer)                            execute
authenticated  private.read_import(uuid)                                                                    execute
authenticated  private.replay_turn(text,text)                                                               execute
authenticated  private.set_feedback(uuid,text,text)                                                         execute
authenticated  private.siblings(public.messages)                                                            execute
authenticated  private.similar_passages(extensions.vector,double precision,integer,jsonb,text)              execute
authenticated  private.snippet(text,text[])                                                                 execute
authenticated  private.stop_reply(uuid)                                                                     execute
authenticated  private.switch_branch(uuid,uuid)                                                             execute
authenticated  private.unfinished_revisions(uuid)                                                           execute
authenticated  private.usage_left()                                                                         execute
authenticated  public.begin_import(integer)                                                                 execute
authenticated  public.admit_request(text,boolean,text)                                                      execute
authenticated  public.begin_turn(uuid,uuid,uuid,text,uuid,text,text,integer,jsonb,uuid,boolean)             execute
authenticated  public.begin_chat_turn(uuid,text,uuid,text,text,boolean,boolean,text,text[],text,text,integer,jsonb)  execute
authenticated  public.chat_reply(text)                                                                      execute
authenticated  public.create_document(text,jsonb,text,jsonb,text,uuid,text,integer,integer)                 execute
authenticated  public.delete_my_data()                                                                      execute
authenticated  public.delete_message(uuid)                                                                  execute
authenticated  public.export_conversations(bigint,uuid)                                                     execute
authenticated  public.export_messages(uuid,bigint)                                                          execute
authenticated  public.estimate_turn(text,jsonb,uuid,integer,uuid,boolean)                                   execute
authenticated  public.match_embeddings(extensions.vector,double precision,integer,jsonb,text)               execute
authenticated  public.my_models(jsonb)                                                                      execute
authenticated  public.my_usage()                                                                            execute
authenticated  public.passage_models()                                                                      execute
authenticated  public.read_branch(uuid,bigint,bigint,uuid,uuid,boolean,integer)                             execute
authenticated  public.read_chat(text,bigint,integer)                                                        execute
authenticated  public.read_import(uuid)                                                                     execute
authenticated  public.read_message(uuid)                                                                    execute
authenticated  public.read_reply(uuid,integer,integer)                                                      execute
authenticated  public.replay_turn(text,text)                                                                execute
authenticated  public.save_settings(text)                                                                   execute
authenticated  public.search_conversations(text,integer,text)                                               execute
authenticated  public.search_documents(text,extensions.vector,double precision,integer,jsonb,text,boolean)  execute
authenticated  public.search_documents_v2(text,jsonb,integer,jsonb,boolean)                                 execute
authenticated  public.search_passages(text,extensions.vector,double precision,integer,jsonb,text)           execute
authenticated  public.set_feedback(uuid,text,text)                                                          execute
authenticated  public.stop_reply(uuid)                                                                      execute
authenticated  public.switch_branch(uuid,uuid)                                                              execute
authenticated  private.create_key(text,text,text,timestamp with time zone)                                  execute
authenticated  private.forget_my_keys()                                                                     execute
authenticated  private.my_keys()                                                                            execute
authenticated  private.revoke_key(uuid)                                                                     execute
authenticated  public.create_key(text,text,text,timestamp with time zone)                                   execute
authenticated  public.my_keys()                                                                             execute
authenticated  public.revoke_key(uuid)                                                                      execute
service_role   private.add_key(uuid,text,text,text,timestamp with time zone)                                execute
service_role   private.check_key(text)                                                                      execute
service_role   private.delete_key(uuid)                                                                     execute
service_role   private.list_keys(uuid)                                                                      execute
service_role   public.admin_create_key(text,text,text,text,timestamp with time zone)                        execute
service_role   public.admin_keys(text)                                                                      execute
service_role   public.admin_revoke_key(uuid)                                                                execute
service_role   public.check_key(text)                                                                       execute
service_role   private.applied_migrations()                                                                 execute
service_role   private.carried_cost(uuid,timestamp with time zone)                                          execute
service_role   private.charge_reading(uuid,integer)                                                         execute
service_role   private.completion_tokens_of(jsonb)                                                          execute
service_role   private.entitled(text,uuid,integer)                                                          execute
service_role   private.estimate_tokens(text)                                                                execute
service_role   private.end_import(uuid,text)                                                                execute
service_role   private.import_documents(uuid,jsonb)                                                         execute
service_role   private.import_messages(uuid,jsonb,jsonb,text)                                               execute
service_role   private.index_lease()                                                                        execute
service_role   private.index_large_owners()                                                                 execute
service_role   private.index_waiting_texts()                                                                execute
service_role   private.lease()                                                                              execute
service_role   private.limits_of(uuid)                                                                      execute
service_role   private.lost_calls(private.reservations,integer,text,text)                                   execute
service_role   private.month_start()                                                                        execute
service_role   private.passage_words(jsonb,text)                                                            execute
service_role   private.plant_tree(uuid)                                                                     execute
service_role   private.plant_trees()                                                                        execute
service_role   private.prompt_tokens_of(jsonb)                                                              execute
service_role   private.require_plan(text)                                                                   execute
service_role   private.retire_conversations(timestamp with time zone,bigint,boolean,boolean)                execute
service_role   private.retire_documents(timestamp with time zone,bigint,boolean)                            execute
service_role   private.retire_ledger(timestamp with time zone,uuid,boolean)                                 execute
service_role   private.retire_records(text,timestamp with time zone,text,boolean)                           execute
service_role   private.reply_cost(uuid)                                                                     execute
service_role   private.settle(jsonb)                                                                        execute
service_role   private.usage_totals(uuid,timestamp with time zone)                                          execute
service_role   private.user_by_email(text)                                                                  execute
service_role   public.admin_delete_plan(text)                                                               execute
service_role   public.admin_grant(text,text,timestamp with time zone)                                       execute
service_role   public.admin_limits(text,jsonb)                                                              execute
service_role   public.admin_models(text,jsonb)                                                              execute
service_role   public.admin_prices(text,text,jsonb)                                                         execute
service_role   public.admin_revoke(text)                                                                    execute
service_role   public.admin_show(text)                                                                      execute
service_role   public.admin_users(text,uuid,integer)                                                        execute
service_role   public.applied_migrations()                                                                  execute
service_role   private.allowed_models(private.limits,jsonb)                                                 execute
service_role   private.begin_completion(uuid,uuid,integer,integer,jsonb)                                    execute
service_role   private.begin_embeddings(uuid,uuid,integer,jsonb)                                            execute
service_role   public.begin_completion(uuid,uuid,integer,integer,jsonb)                                     execute
service_role   public.begin_embeddings(uuid,uuid,integer,jsonb)                                             execute
service_role   public.completion_models(uuid,jsonb)                                                         execute
service_role   public.finish_completions(jsonb)                                                             execute
service_role   public.renew_completions(jsonb)                                                              execute
service_role   private.begin_title(uuid,uuid,uuid,jsonb,integer,integer)                                    execute
service_role   public.begin_title(uuid,uuid,uuid,jsonb,integer,integer)                                     execute
service_role   public.charge_reading(uuid,integer)                                                          execute
service_role   public.charge_usage(jsonb)                                                                   execute
service_role   public.claim_index_jobs(uuid,text,integer)                                                   execute
service_role   public.configure_documents(integer,integer)                                                  execute
service_role   public.configure_limits(boolean,integer,integer,boolean,jsonb)                               execute
service_role   public.finish_title(uuid,uuid,uuid,text,jsonb)                                               execute
service_role   public.end_import(uuid,text)                                                                 execute
service_role   public.import_documents(uuid,jsonb)                                                          execute
service_role   public.import_messages(uuid,jsonb,jsonb,text)                                                execute
service_role   public.finish_replies(jsonb,boolean)                                                         execute
service_role   public.index_passages(uuid,uuid,bigint,text,jsonb,integer)                                   execute
service_role   public.journal_write(jsonb,uuid[],jsonb)                                                     execute
service_role   public.index_queue()                                                                         execute
service_role   public.index_waiting_texts()                                                                 execute
service_role   public.passages_to_reembed(text,integer)                                                     execute
service_role   public.postpone_index_job(uuid,uuid,text,boolean)                                            execute
service_role   public.recover_replies()                                                                     execute
service_role   public.reembed_progress(text)                                                                execute
service_role   public.release_index_jobs(uuid)                                                              execute
service_role   public.renew_index_jobs(uuid,uuid[])                                                         execute
service_role   public.retire(text,integer,text,boolean)                                                    execute
service_role   public.store_reembedded(text,uuid,bigint,jsonb)                                              execute
"""  # noqa: E501 - one of them has many arguments

SEQUENCES = """
service_role   private.revisions  usage
"""

SCHEMAS = """
anon           public   usage
authenticated  public   usage
service_role   public   usage
authenticated  private  usage
service_role   private  usage
"""

# What a role can really do: its own grants, those to PUBLIC, and those of any role it is a member of.
EFFECTIVE = {
    "tables": """
        select r.role, n.nspname || '.' || c.relname, p.privilege
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        cross join unnest(%(roles)s::text[]) as r (role)
        cross join unnest(
          '{select,insert,update,delete,truncate,references,trigger,maintain}'::text[]
        ) as p (privilege)
        where n.nspname in ('public', 'private') and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and has_table_privilege(r.role, c.oid, p.privilege)
    """,
    "columns": """
        select r.role, n.nspname || '.' || c.relname, p.privilege || ' ' || a.attname
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        cross join unnest(%(roles)s::text[]) as r (role)
        cross join unnest('{select,insert,update,references}'::text[]) as p (privilege)
        where n.nspname in ('public', 'private') and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and has_column_privilege(r.role, c.oid, a.attnum, p.privilege)
        and not has_table_privilege(r.role, c.oid, p.privilege)
    """,
    "functions": """
        select r.role, n.nspname || '.' || f.proname || '(' || coalesce((
          select string_agg(format_type(t.type, null), ',' order by t.place)
          from unnest(f.proargtypes::oid[]) with ordinality as t (type, place)
        ), '') || ')', 'execute'
        from pg_catalog.pg_proc as f
        join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
        cross join unnest(%(roles)s::text[]) as r (role)
        where n.nspname in ('public', 'private') and has_function_privilege(r.role, f.oid, 'execute')
    """,
    "sequences": """
        select r.role, n.nspname || '.' || c.relname, p.privilege
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        cross join unnest(%(roles)s::text[]) as r (role)
        cross join unnest('{usage,select,update}'::text[]) as p (privilege)
        where n.nspname in ('public', 'private') and c.relkind = 'S'
        and has_sequence_privilege(r.role, c.oid, p.privilege)
    """,
    "schemas": """
        select r.role, n.nspname, p.privilege
        from pg_catalog.pg_namespace as n
        cross join unnest(%(roles)s::text[]) as r (role)
        cross join unnest('{usage,create}'::text[]) as p (privilege)
        where n.nspname in ('public', 'private') and has_schema_privilege(r.role, n.oid, p.privilege)
    """,
}


def written(lines: str) -> Grants:
    """The lines as (role, object, privilege), one for each privilege."""
    grants = set()
    for line in lines.strip().splitlines():
        role, place, privileges = (part for part in line.split("  ") if part)
        each = [privileges] if lines is COLUMNS else privileges.split()
        grants |= {(role, place.strip(), privilege.strip()) for privilege in each}
    return grants


WRITTEN = {
    "tables": written(TABLES),
    "columns": written(COLUMNS),
    "functions": written(FUNCTIONS),
    "sequences": written(SEQUENCES),
    "schemas": written(SCHEMAS),
}


def effective(db: Connection) -> dict[str, Grants]:
    # so that types are printed with their schema
    db.execute("select set_config('search_path', '', true)")
    return {kind: set(db.execute(query, {"roles": list(API_ROLES)}).fetchall()) for kind, query in EFFECTIVE.items()}


@pytest.mark.parametrize("kind", WRITTEN)
def test_grants_are_exactly_those_written_down(db: Connection, kind: str) -> None:
    assert effective(db)[kind] == WRITTEN[kind]


def test_nothing_may_be_granted_on(db: Connection) -> None:
    """No API role holds a grant option, and no role inherits another's grants by membership."""
    grantable = db.execute(
        """
        select c.relname from pg_catalog.pg_class as c, aclexplode(c.relacl) as a
        where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
        and a.is_grantable and a.grantee <> c.relowner
        union all
        select f.proname from pg_catalog.pg_proc as f, aclexplode(f.proacl) as a
        where f.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
        and a.is_grantable and a.grantee <> f.proowner
        """
    ).fetchall()
    assert grantable == []


def test_every_table_has_row_level_security_for_its_owner_too(db: Connection) -> None:
    open_tables = db.execute(
        """
        select c.relname from pg_catalog.pg_class as c
        where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace) and c.relkind in ('r', 'p')
        and not (
          c.relrowsecurity and c.relforcerowsecurity
          and exists (select from pg_catalog.pg_policy as p where p.polrelid = c.oid)
        )
        """
    ).fetchall()
    assert open_tables == []


def test_a_grant_by_mistake_shows_no_private_row(db: Connection, owner: Caller) -> None:
    tables = [name for (name,) in db.execute("select tablename from pg_catalog.pg_tables where schemaname = 'private'")]
    db.execute("grant usage on schema private to anon, authenticated")
    for name in tables:
        db.execute(sql.SQL("grant all on private.{} to anon, authenticated").format(sql.Identifier(name)))
    assert one(db, "select count(*) from private.settings") == 1
    for caller in (ANON, owner):
        for name in tables:
            with acting(db, caller):
                query = sql.SQL("select count(*) from private.{}").format(sql.Identifier(name))
                assert one(db, query) == 0, name


def test_every_function_pins_its_search_path(db: Connection) -> None:
    loose = db.execute(
        """
        select proname from pg_catalog.pg_proc
        where pronamespace in ('public'::regnamespace, 'private'::regnamespace)
        and not 'search_path=""' = any(coalesce(proconfig, '{}'))
        """
    ).fetchall()
    assert loose == []


def test_everything_is_explained(db: Connection) -> None:
    silent = db.execute(
        """
        select relname from pg_catalog.pg_class
        where relnamespace in ('public'::regnamespace, 'private'::regnamespace) and relkind in ('r', 'p')
        and obj_description(oid, 'pg_class') is null
        union all
        select proname from pg_catalog.pg_proc
        where pronamespace in ('public'::regnamespace, 'private'::regnamespace)
        and obj_description(oid, 'pg_proc') is null
        """
    ).fetchall()
    assert silent == []


def test_requests_widen_nothing(db: Connection, stack: LocalSupabase, http: httpx.Client) -> None:
    """The Data API's stand-in would grant everything to the API roles at its first request, if it could."""
    for key in (stack.publishable_key, stack.secret_key):
        http.get("/rest/v1/conversations", headers={"apikey": key})
        http.post("/rest/v1/rpc/recover_replies", headers={"apikey": key})
    assert effective(db) == WRITTEN


def test_a_project_that_grants_by_default_ends_with_the_same_grants(db: Connection) -> None:
    """Projects from before October 2026 grant everything new in `public` to the API roles."""
    db.execute("drop schema private cascade")
    for drops in (
        "select format('drop table public.%I cascade', tablename) from pg_catalog.pg_tables "
        "where schemaname = 'public'",
        "select format('drop function %s', oid::regprocedure) from pg_catalog.pg_proc "
        "where pronamespace = 'public'::regnamespace",
        "select format('drop policy %I on realtime.messages', policyname) from pg_catalog.pg_policies "
        "where schemaname = 'realtime'",
    ):
        for (drop,) in db.execute(drops).fetchall():
            db.execute(drop)
    for kind in ("tables", "functions", "sequences"):
        db.execute(
            f"alter default privileges in schema public grant all on {kind} to anon, authenticated, service_role"
        )
    for migration in MIGRATIONS:
        # this test is one transaction
        db.execute(migration.read_bytes().replace(b"index concurrently", b"index"))
    assert effective(db) == WRITTEN
