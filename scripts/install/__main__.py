"""`python -m scripts.install`: checks Python's version, in syntax that Python 3.6 can read, before anything else."""

import sys
from shutil import which


def refuse_old_python():
    # type: () -> None
    """Exit with one line that names a newer Python, if this machine has one."""
    if sys.version_info >= (3, 11):  # noqa: UP036 - this file is what an older Python gets to see
        return
    newer = [name for name in ("python3.14", "python3.13", "python3.12", "python3.11") if which(name)]
    hint = f"try `make install PYTHON={newer[0]}`" if newer else "PYTHON=… names another one"
    sys.exit(f"make install: Parley needs Python 3.11 or newer, and this is {sys.version.split()[0]}; {hint}")


if __name__ == "__main__":
    refuse_old_python()
    from scripts.install.command import main

    main()
