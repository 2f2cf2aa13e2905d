"""How the parts of the bridge are put together."""
