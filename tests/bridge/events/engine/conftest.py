"""What all tests of the engine have in common."""

import logging

import pytest


@pytest.fixture(autouse=True)
def quiet_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the log each statement: there are thousands, and writing them down takes longer than they do."""
    monkeypatch.setattr(logging.getLogger("sqlalchemy.engine"), "level", logging.WARNING)
