"""`make install`: installs exactly what the lock files list, and does nothing when that is already installed.

pip resolves dependencies even when every version is pinned and hashed, so a package published tomorrow can break a lock
that works today. Therefore pip installs only uv (one wheel without dependencies, pinned and hashed), and `uv pip sync`
installs what `requirements-dev.lock` lists, without resolving anything. `npm ci` does the same for `package-lock.json`.
See `docs/decisions/0011-install.md`.

The machine's own Python runs this package before anything is installed, so it uses the standard library only.
"""
