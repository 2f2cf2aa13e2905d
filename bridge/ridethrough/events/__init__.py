"""From conditions to events to jobs, and the journal that survives a crash."""
