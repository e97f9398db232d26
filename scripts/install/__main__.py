"""`python -m scripts.install`: checks Python's version, in syntax that Python 3.6 can read, before anything else."""

import subprocess
import sys


def refuse_old_python():
    # type: () -> None
    """Exit with one line that names a newer Python, if this machine has one."""
    if sys.version_info >= (3, 11):  # noqa: UP036 - an older Python runs this file
        return
    newer = next(filter(runs, ("python3.14", "python3.13", "python3.12", "python3.11")), "…")
    hint = f"name another one: `make install PYTHON={newer}`"
    sys.exit(f"make install: Parley needs Python 3.11 or newer, and this is {sys.version.split()[0]}; {hint}")


def runs(program):
    # type: (str) -> bool
    """Whether this machine has `program` and it works. pyenv's shims fail for versions that are not selected."""
    try:
        return subprocess.call([program, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


if __name__ == "__main__":
    refuse_old_python()
    from scripts.install.command import main

    main()
