"""The embedded Supabase: Postgres, Auth, the Data API and its gateway, with no Docker.

`LocalSupabase` is the whole stack; the other modules are its parts.
"""

from scripts.local_supabase.processes import StackError
from scripts.local_supabase.stack import LocalSupabase

__all__ = ["LocalSupabase", "StackError"]
