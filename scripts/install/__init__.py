"""`make install`: lays down exactly what the lock files list, and does nothing when that is already there.

pip resolves what it installs even where every version is pinned and hashed, so a package published tomorrow can break a
lock that is good today. So pip only brings uv (one wheel without dependencies, pinned and hashed), and `uv pip sync`
installs what `requirements-dev.lock` lists and looks for nothing else. `npm ci` does the same for `package-lock.json`.
See `docs/decisions/0011-install.md`.

The machine's own Python runs this package before anything is installed, so it uses the standard library only.
"""
