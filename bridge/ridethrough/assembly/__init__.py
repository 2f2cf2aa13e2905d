"""Puts the parts of the bridge together as the configuration says, and takes them apart again."""
