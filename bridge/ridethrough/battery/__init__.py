"""The battery system: strings, modules, thresholds, equalising, thermal runaway, health."""
