"""Who may, how much, and what may be said. The guard asks; the database and the moderator decide."""
