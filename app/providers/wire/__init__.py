"""The four wire formats: bytes of a stream in, deltas and the finish out. Pure: no I/O, no SDK."""
