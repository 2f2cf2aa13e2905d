"""Which points, conditions and commands each kind of device has; data files and their reader."""
