"""Which provider answers, and what happens when it cannot: catalog, router, breaker, retry and failover."""
