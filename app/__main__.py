"""`python -m app`: the API server."""

import gc
import sys

# Nearly all that the imports make lives as long as the process: collecting among it takes a sixth of their time.
# `Service.running` switches the collector on when the service has started.
gc.disable()
# redis 8, which pybreaker imports, imports OpenTelemetry's SDK where it is installed, and goes on without it where it
# is not: 3 MB and 25 ms that nothing here uses. `app.telemetry.traces` imports what it needs, where traces are on.
sys.modules["opentelemetry.sdk.metrics"] = None  # type: ignore[assignment]

from app.serve import main  # noqa: E402

del sys.modules["opentelemetry.sdk.metrics"]

main()
