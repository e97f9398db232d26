"""How each block of code in README.md, CONTRIBUTING.md, SECURITY.md and docs/ is run.

A block without an entry fails `tests/docs/test_table.py`, and so does an entry without a block. To add one, append a
line to the list of its document: the document's path, a text that stands in this block alone, and one of the ways of
`tests/docs/entries.py`. In order of preference:

* `Shell`: run as it stands by `sh`, with $API_URL, $SUPABASE_URL, the keys, $DATABASE_URL, and a user with the plan
  premium ($EMAIL, $PASSWORD, $USER_ID, $TOKEN) in its environment; exit code 0, and `says` in its output.
* `Sql`: run as the owner of the database, and rolled back.
* `Answer`: JSON that must be as docs/openapi.json says.
* `Read`: run by a test elsewhere, which gets the text by `block(document, excerpt)` of `tests/support/documented.py`.
* `Targets`: `make x`, run by CI or by nobody since it takes minutes.
* `Elsewhere`: cannot run here (Docker, a hosted project); its flags are looked up in the programs' help.
* `Shown`: an excerpt that is no command.

Commands in the text (`make x`, `python -m …`, `npx …` between backticks) need no entry: their targets, modules,
subcommands and flags are looked up.
"""

from __future__ import annotations

from tests.docs.entries import Answer, Elsewhere, Entry, Read, Shell, Shown, Sql, Targets

ADA = {"ada@example.com": "{EMAIL}"}

README = "README.md"
readme: list[Entry] = [
    Targets(README, "make run     #", run_by="tests/local_supabase/test_run.py"),
    Shell(
        README,
        'EMAIL="tour-',
        says=(
            "premium, without end",
            "event: message.started",
            "event: done",
            "House rules",
            "<mark>",
            '"role":"user"',
        ),
    ),
    Shell(
        README,
        "app.retrieval.ingest docs",
        says=("1 added",),
        replaced={"ingest docs ": "ingest {FILES} "},
    ),
    Shell(README, "# the same as OpenAI's API", says=('"object":"chat.completion"',)),
    Read(README, "set -a; . ./.env; set +a", test="tests/docs/test_blocks.py::test_api_starts_by_itself"),
]

CONTRIBUTING = "CONTRIBUTING.md"
contributing: list[Entry] = [
    Elsewhere(CONTRIBUTING, "make install    ", reason="it would install the hooks of this checkout"),
    Elsewhere(CONTRIBUTING, "make check     ", reason="CI runs make lint test; the others are parts of it"),
]

API = "docs/api.md"
api: list[Entry] = [
    Shell(API, "npx openapi-typescript", says=("schema.d.ts",)),
    Read(API, "api_key=access_token", test="tests/docs/test_blocks.py::test_openais_client_streams"),
    Answer(API, '"most_micro_usd": 381255', component="EstimateView"),
    Answer(API, "A trip to Rome", component="ConversationPage"),
    Shell(API, "rpc/search_conversations", says=("[",)),
]

BILLING = "docs/billing.md"
billing: list[Entry] = [
    Shell(BILLING, "app.admin grant ada@example.com", says=("until 2027-01-31", "premium"), replaced=ADA),
    Shell(BILLING, "--conversations 50000"),
    Shell(BILLING, "rpc/admin_grant", says=("premium",), replaced=ADA),
    Shell(BILLING, "entitlements?on_conflict=user_id", replaced={'"user_id": "…"': '"user_id": "{USER_ID}"'}),
    Sql(BILLING, "from private.usage_ledger"),
]

CLIENTS = "docs/clients.md"
_PROGRAM = "tests/clients/test_documented_clients.py::test_program_runs_as_it_stands"
_PAGE = "tests/ai_sdk/test_use_chat.py::test_documented_chat_works_as_it_stands"
clients: list[Entry] = [
    Read(CLIENTS, "# TOKEN is the access token", test=_PROGRAM),
    Read(CLIENTS, 'api_key=os.environ["PARLEY_KEY"]', test=_PROGRAM),
    Read(CLIENTS, "api_key=lambda: supabase", test=_PROGRAM),
    Read(CLIENTS, "apiKey: process.env.PARLEY_KEY", test=_PROGRAM),
    Read(CLIENTS, "apiKey: async () =>", test=_PROGRAM),
    Read(CLIENTS, "// parley.ts", test=_PAGE, reader="tests/ai_sdk/conftest.py"),
    Read(CLIENTS, "// chat.tsx", test=_PAGE, reader="tests/ai_sdk/conftest.py"),
    Read(CLIENTS, "// plain-errors.ts", test=_PAGE, reader="tests/ai_sdk/conftest.py"),
]

FRONTEND = "docs/frontend.md"
frontend: list[Entry] = [
    Read(
        FRONTEND,
        "export function Assistant()",
        test="tests/web/test_lifting.py::test_components_are_lifted_into_another_app",
    ),
]

MIGRATIONS = "docs/migrations.md"
migrations: list[Entry] = [
    Shell(MIGRATIONS, "scripts.push_divided", says=("All migrations are applied",)),
    Sql(MIGRATIONS, "add column note jsonb"),
    Sql(MIGRATIONS, "drop column error_code"),
    Shown(MIGRATIONS, "drop function public.begin_turn", reason="an excerpt of a migration of this repository"),
]

OPERATIONS = "docs/operations.md"
operations: list[Entry] = [
    Shown(OPERATIONS, "scrape_configs:", reason="of Prometheus"),
    Shell(OPERATIONS, "export OTEL_EXPORTER_OTLP_ENDPOINT"),
]

DEPLOY = "docs/deploy.md"
HOSTED = "needs a hosted project; tests/docs/test_pushing.py pushes to a database of this machine"
KUBECTL = ("kubectl",)
"""`make deploy-check` looks its flags up: tests/deploy/test_documented_commands.py."""
_RESTORING = "tests/docs/test_restoring.py"
deploy: list[Entry] = [
    Targets(DEPLOY, 'export PATH="$PWD', run_by="nobody: it would install into the copy"),
    Elsewhere(DEPLOY, "npx supabase login", reason=HOSTED),
    Elsewhere(DEPLOY, "--include-all", reason=HOSTED, unchecked=("cp",)),
    Shell(DEPLOY, "cat > production.env"),
    # of a project on this machine, where the demo is the only provider, which is a warning
    Shell(
        DEPLOY,
        ". ./production.env; set +a",
        says=("supabase.secret_key", "migrations are applied", "provider.demo"),
        replaced={"./production.env": "./.env"},
        code=1,
    ),
    Shell(DEPLOY, "|| test $? -eq 1", says=("supabase.schema", "migrations are applied")),
    Elsewhere(DEPLOY, "--cap-drop ALL", reason="needs Docker", unchecked=("docker",)),
    Elsewhere(DEPLOY, "npx supabase start\n", reason="needs Docker"),
    Elsewhere(DEPLOY, "deploy/compose.yaml up", reason="needs Docker", unchecked=("docker",)),
    Elsewhere(DEPLOY, "create secret generic", reason="needs a cluster", unchecked=KUBECTL),
    Elsewhere(DEPLOY, "fly deploy", reason="needs an account", unchecked=("fly",)),
    Elsewhere(DEPLOY, "gcloud run services replace", reason="needs an account", unchecked=("gcloud",)),
    Shell(
        DEPLOY,
        "scripts/smoke.py https://chat.example.com",
        says=("the deployment works",),
        replaced={
            "smoke@example.com": "{EMAIL}",
            "its password": "{PASSWORD}",
            "https://chat.example.com": "{API_URL}",
        },
    ),
    Elsewhere(DEPLOY, "npx supabase backups list", reason=HOSTED),
    Elsewhere(
        DEPLOY, "deployment/parley --replicas=0", reason="needs a cluster", unchecked=("kubectl", "fly", "gcloud")
    ),
    Elsewhere(
        DEPLOY, "deployment/parley --replicas=2", reason="needs a cluster", unchecked=("kubectl", "fly", "gcloud")
    ),
    Read(DEPLOY, "db dump --remote", test=f"{_RESTORING}::test_a_copy_is_restored_into_a_new_project"),
    Read(DEPLOY, "optional/empty.sql", test=f"{_RESTORING}::test_a_copy_is_restored_into_a_new_project"),
    Elsewhere(DEPLOY, "patch secret/parley", reason="needs a cluster", unchecked=KUBECTL),
    Elsewhere(
        DEPLOY,
        "fly secrets set --app your-parley SUPABASE_SECRET_KEY",
        reason="needs an account",
        unchecked=("fly",),
    ),
    Elsewhere(DEPLOY, "gcloud secrets versions add", reason="needs an account", unchecked=("gcloud",)),
    Elsewhere(DEPLOY, "git fetch --tags", reason=HOSTED, unchecked=("git", "docker")),
    Elsewhere(DEPLOY, "kubectl diff", reason="needs a cluster", unchecked=KUBECTL),
    Elsewhere(DEPLOY, "rollout undo", reason="needs a cluster", unchecked=KUBECTL),
]

PROVIDERS = "docs/providers.md"
providers: list[Entry] = [
    Read(PROVIDERS, "ACME = ProviderDescription(", test="tests/docs/test_blocks.py::test_a_provider_is_described"),
]

REALTIME = "docs/realtime.md"
realtime: list[Entry] = [
    Read(
        REALTIME,
        "export function useMessages",
        test="tests/realtime/test_devices.py::test_the_documented_hook",
        reader="tests/realtime/javascript/documented.mjs",
    ),
]

RELEASING = "docs/releasing.md"
_NO_IDENTITY = "it needs the identity of a CI service and a public log"
releasing: list[Entry] = [
    Read(RELEASING, "make wheel sbom", test="tests/trust/test_signing.py::test_release_is_made_signed_and_checked"),
    Read(RELEASING, "ssh-keygen -Y sign", test="tests/trust/test_signing.py::test_release_is_made_signed_and_checked"),
    Read(
        RELEASING, "ssh-keygen -Y verify", test="tests/trust/test_signing.py::test_release_is_made_signed_and_checked"
    ),
    Read(RELEASING, "verify-tag", test="tests/trust/test_signing.py::test_release_is_made_signed_and_checked"),
    Read(RELEASING, "tag --sign", test="tests/trust/test_signing.py::test_release_is_made_signed_and_checked"),
    Elsewhere(RELEASING, "sigstore sign", reason=_NO_IDENTITY, unchecked=("sigstore",)),
    Elsewhere(RELEASING, "cosign sign", reason=_NO_IDENTITY, unchecked=("cosign",)),
    Elsewhere(
        RELEASING,
        "npx supabase db push --remote --workdir",
        reason="it installs into the reader's Python",
        unchecked=("python",),
    ),
]

FINDINGS = "findings/README.md"
findings: list[Entry] = [
    Elsewhere(
        FINDINGS,
        "findings/litestar-options.sh",
        reason="it installs packages, and each is run by hand",
        unchecked=("sh",),
    ),
]

SCALING = "docs/scaling.md"
scaling: list[Entry] = [
    Read(
        SCALING,
        "supabase/optional/partitions.sql",
        test="tests/database/test_partitions.py::test_documented_file_is_the_one_that_is_tested",
    ),
]

RETENTION = "docs/retention.md"
retention: list[Entry] = [
    Shell(RETENTION, "--ledger 400 --dry-run", says=("would be removed", "removed")),
    Read(
        RETENTION,
        "cron.schedule('parley-retention'",
        test="tests/database/test_retire.py::test_job_of_the_documentation_runs_in_the_database",
    ),
]

TABLE: tuple[Entry, ...] = (
    *readme,
    *contributing,
    *api,
    *billing,
    *clients,
    *deploy,
    *frontend,
    *migrations,
    *operations,
    *providers,
    *realtime,
    *releasing,
    *findings,
    *retention,
    *scaling,
)
