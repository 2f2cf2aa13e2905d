"""The triggers by time on battery and by runtime, in a real automation engine."""
