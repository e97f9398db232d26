"""Other servers for the bench, each in an environment of its own, with locked packages."""
