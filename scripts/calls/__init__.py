"""Recorded calls: records a release's database calls, and replays them on a newer schema (docs/migrations.md)."""
