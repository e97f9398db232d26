"""The Dockerfile's steps, carried out without an engine, and the result tried as it is run in production.

`python -m scripts.image`, which `make image-steps` calls. For root on Linux only: each step runs in a mount namespace
of its own, on an overlay of this machine's files, which stand for those of the base images.
"""
