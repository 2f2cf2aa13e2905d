"""Physical models of power equipment, and simulators that speak the real protocols."""
