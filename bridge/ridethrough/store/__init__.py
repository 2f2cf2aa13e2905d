"""Logs, history and identities behind SQLAlchemy."""
