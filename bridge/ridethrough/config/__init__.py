"""The configuration file: its schema, its secrets, and errors that say where and what."""
