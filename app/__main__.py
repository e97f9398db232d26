"""`python -m app`: the API server. `python -m app check` proves its configuration instead."""

import gc
import os
import sys

USAGE = """usage: python -m app          serve the API; the settings come from the environment (.env.example)
       python -m app check    prove the settings before serving; see python -m app check --help
       python -m app.admin    plans, limits, prices and keys; see python -m app.admin --help"""

match sys.argv[1:]:
    case []:
        # Nearly all that the imports make lives as long as the process: collecting among it takes a sixth of their
        # time. `Service.running` switches the collector on when the service has started.
        gc.disable()
        from app.modules import hidden, hide, import_when_named, import_when_used

        # what libraries import if it is there, and go on without if it is not: structlog, httpx and httpcore2
        hide("greenlet", "rich", "pygments", "h2")
        # PyJWT needs it for published keys alone; `app.api.auth` restores it when a token names one
        if os.environ.get("SUPABASE_JWT_SECRET"):
            hide("cryptography")
        # for a schema in YAML, for Litestar's debugger and for the colours of uvicorn's log
        import_when_used("yaml", "pdb", "click")
        # it imports its command line with itself
        import_when_named("uvicorn")
        # pybreaker imports redis if it is there, and redis 8 OpenTelemetry's SDK, of which `app.telemetry.traces`
        # imports what it needs
        with hidden("opentelemetry.sdk.metrics", *(() if os.environ.get("REDIS_URL") else ("redis",))):
            from app.serve import main

        main()
    case ["check", *arguments]:
        from app.check.command import main as check

        sys.exit(check(arguments))
    case ["-h" | "--help"]:
        print(USAGE)  # noqa: T201
    case [other, *_]:
        print(f"parley: there is no command {other!r}\n{USAGE}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
