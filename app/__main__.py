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
        # What libraries import if it is there, and go on without if it is not: 12 MB of which nothing is used.
        # structlog imports the first two, pybreaker imports redis, and redis 8 OpenTelemetry's SDK, of which
        # `app.telemetry.traces` imports what it needs.
        unused = ["greenlet", "rich", "opentelemetry.sdk.metrics"]
        if not os.environ.get("REDIS_URL"):
            unused.append("redis")
        for name in unused:
            sys.modules[name] = None  # type: ignore[assignment]

        from app.serve import main

        for name in unused:
            del sys.modules[name]
        main()
    case ["check", *arguments]:
        from app.check.command import main as check

        sys.exit(check(arguments))
    case ["-h" | "--help"]:
        print(USAGE)  # noqa: T201
    case [other, *_]:
        print(f"parley: there is no command {other!r}\n{USAGE}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
