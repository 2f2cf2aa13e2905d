"""The demonstration: a simulated UPS, the bridge and a real Home Assistant, as real processes."""
