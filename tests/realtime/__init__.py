"""Tests of Realtime: the embedded server, the official clients on it, and what the database pushes."""
