"""Telemetry: metrics and traces of what the process does. Imported only where they are on."""
