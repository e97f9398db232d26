"""`python -m app`: the API server. `python -m app check` proves its configuration instead."""

import gc
import sys

USAGE = """usage: python -m app          serve the API; the settings come from the environment (.env.example)
       python -m app check    prove the settings before serving; see python -m app check --help
       python -m app.admin    plans, limits, prices and keys; see python -m app.admin --help"""

match sys.argv[1:]:
    case []:
        # Nearly all that the imports make lives as long as the process: collecting among it takes a sixth of their
        # time. `Service.running` switches the collector on when the service has started.
        gc.disable()
        # redis 8, which pybreaker imports, imports OpenTelemetry's SDK where it is installed, and goes on without it
        # where it is not: 3 MB and 25 ms for nothing. `app.telemetry.traces` imports what it needs.
        sys.modules["opentelemetry.sdk.metrics"] = None  # type: ignore[assignment]

        from app.serve import main

        del sys.modules["opentelemetry.sdk.metrics"]
        main()
    case ["check", *arguments]:
        from app.check.command import main as check

        sys.exit(check(arguments))
    case ["-h" | "--help"]:
        print(USAGE)  # noqa: T201
    case [other, *_]:
        print(f"parley: there is no command {other!r}\n{USAGE}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
