"""Replies against faults: two API processes, one database, and networks that fail."""
