"""Shared parts of the decoders: from the bytes of a stream to deltas and the finish, without I/O and without an SDK."""
