"""One package per protocol served to building management."""
