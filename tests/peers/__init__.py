"""Programs that are not ours, started and ended by tests."""
