"""What the wire formats share: bytes of a stream in, deltas and the finish out. Pure: no I/O, no SDK."""
