#!/bin/sh
# One would guess: with `--dist loadgroup`, tests with one xdist_group run in one worker, as pytest-xdist's manual says.
# What happens: with pytest 9.2.0, pytest-xdist 3.8.0 spreads a group over the workers as if it had no name, and says
# nothing. It writes the group into `item._nodeid`, which pytest does not read any more.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "pytest==9.2.0" "pytest-xdist==3.8.0"

cat > "$folder/test_group.py" <<'PYTHON'
import os
import time

import pytest


@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(20))
def test_one_of_a_group(number):
    time.sleep(0.05)
    with open("workers.txt", "a") as seen:
        seen.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
PYTHON
cd "$folder"
venv/bin/python -m pytest -q -n 2 --dist loadgroup -p no:cacheprovider test_group.py | tail -1
workers=$(sort -u workers.txt | wc -l)
venv/bin/python -c 'from importlib.metadata import version as v; print("pytest", v("pytest"), "pytest-xdist", v("pytest-xdist"))'
echo "one group of 20 tests ran in $((workers)) workers"
[ "$((workers))" -eq 2 ]
