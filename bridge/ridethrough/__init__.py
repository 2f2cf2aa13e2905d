"""Ridethrough: the bridge between power equipment and the systems that must know about it."""
