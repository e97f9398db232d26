"""The soak: an hour of mixed load on two replicas, scaled to ten minutes, with faults, and a judgement of all of it."""
