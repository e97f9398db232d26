#!/bin/sh
# One would guess: `import redis` imports nothing of OpenTelemetry's SDK, as its metrics have to be switched on by a call.
# What happens: where opentelemetry-sdk is installed, for whatever else, `import redis` imports its metrics, some thirty
# modules. So does `import pybreaker`, which imports redis.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "redis==8.1.0" "opentelemetry-sdk==1.45.2"

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import redis

imported = [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
print(f"redis {redis.__version__}, opentelemetry-sdk {version('opentelemetry-sdk')}: import redis imports {len(imported)} of its modules")
sys.exit(0 if "opentelemetry.sdk.metrics" in imported else 1)
PYTHON
