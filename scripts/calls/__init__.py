"""What a release calls of the database, recorded, and asked of a newer schema: see docs/migrations.md."""
