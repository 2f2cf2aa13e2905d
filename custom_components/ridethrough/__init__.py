"""The Ridethrough integration: a client of the bridge, and nothing else."""
