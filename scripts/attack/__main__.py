"""`make attack`: attacks a service of its own on 127.0.0.1, and says which bounds held (three to four minutes)."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from scripts.attack.bounds import Result
from scripts.attack.report import ATTACKS, run, table, write
from scripts.local_supabase.processes import StackError

QUICK = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the attacks. The status is 0 if all bounds held, 1 if one was missed or a part does not start."""
    names = [attack.name for attack in ATTACKS]
    parser = argparse.ArgumentParser(
        prog="python -m scripts.attack",
        description="Attack a service of its own on this machine: an embedded Supabase, the API and a provider, which "
        "are started for it and ended. Nothing else is reached, and number and time of all requests are limited. The "
        "report is a Markdown table on the standard output; the exit code is 1 if a bound was missed.",
        epilog="attacks: " + "; ".join(f"{attack.name}: {attack.done}" for attack in ATTACKS),
    )
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"some of: {', '.join(names)}")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tenth of the size, as far as it can be chosen, to try the attacks themselves",
    )
    parser.add_argument("--write", action="store_true", help="also write the table into docs/security.md")
    asked = parser.parse_args(arguments)
    if asked.write and (asked.quick or asked.only):
        parser.error("--write is for all attacks in full: leave out --quick and --only")
    # ends like Ctrl-C, so that everything that was started is ended
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = [attack for attack in ATTACKS if asked.only is None or attack.name in asked.only]
    try:
        usual, results = asyncio.run(run(chosen, QUICK if asked.quick else 1.0))
    except StackError as error:
        print(f"make attack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    text = table(usual, results)
    print(text)
    if asked.write:
        write(text)
    return status(results)


def status(results: Sequence[Result]) -> int:
    """The exit code, after a sentence about each bound that was missed."""
    for result in results:
        for bound in result.missed:
            print(f"missed: {result.attack.name}: {bound.seen} (allowed: {bound.allowed})", file=sys.stderr)
    return 1 if any(result.missed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
