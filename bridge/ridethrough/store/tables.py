"""The tables, and the steps by which an older database comes to have them."""

from typing import Any

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

METADATA = MetaData()


def _event_columns() -> tuple[Column[Any], ...]:
    """Make the columns of an event: those that have happened and those under way are kept alike."""
    return (
        Column("seq", Integer, primary_key=True),
        Column("at", Integer, nullable=False),
        Column("kind", Text, nullable=False),
        Column("device", Text),
        Column("key", Text, nullable=False),
        Column("edge", Text, nullable=False),
        Column("severity", Text, nullable=False),
        Column("details", Text, nullable=False),
    )


FACTS = Table(
    "facts",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""Single facts: `schema_version`, `bridge_id`."""

EVENTS = Table(
    "events",
    METADATA,
    *_event_columns(),
)
"""The journal. `at` is in microseconds since 1970 (UTC), `details` a JSON object."""

RAISED = Table(
    "raised",
    METADATA,
    Column("device", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("at", Integer, nullable=False),
    Column("severity", Text, nullable=False),
    Column("details", Text, nullable=False),
)
"""Conditions whose last edge is `raised`: a copy of that event, so that it outlives the pruning of the journal."""

TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("created", Integer, nullable=False),
    Column("expires", Integer),
    Column("last_used", Integer),
)
"""The API's tokens. `hash` is the SHA-256 of the token, which itself is nowhere; times as in the journal."""

PENDING = Table(
    "pending",
    METADATA,
    *_event_columns(),
)
"""Commands that have been given and of whose end the journal does not know yet; otherwise like the journal."""

CHARGES = Table(
    "charges",
    METADATA,
    Column("device", Text, primary_key=True),
    Column("charge", Integer, nullable=False),
    Column("at", Integer, nullable=False),
)
"""The last charge of each battery whose charge the bridge works out itself, in tenths of a percent."""

NUMBERS = Table(
    "numbers",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    UniqueConstraint("scope", "number"),
)
"""Numbers given once and for ever; see `numbers.Numbers`."""

STEPS = Table(
    "steps",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("origin", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("message", Text, nullable=False),
)
"""Steps of jobs and plans, in the order in which they were committed; `action` and `occasion` are JSON objects."""

MEMORY = Table(
    "memory",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What those who make steps remember; see `events.steps.Steps`."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE facts (key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key))",
        """
        CREATE TABLE events (
            seq INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, device TEXT, key TEXT NOT NULL,
            edge TEXT NOT NULL, severity TEXT NOT NULL, details TEXT NOT NULL, PRIMARY KEY (seq)
        )
        """,
        """
        CREATE TABLE raised (
            device TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
            severity TEXT NOT NULL, details TEXT NOT NULL, PRIMARY KEY (device, key)
        )
        """,
        """
        CREATE TABLE tokens (
            id TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, hash BLOB NOT NULL, created INTEGER NOT NULL,
            expires INTEGER, last_used INTEGER, PRIMARY KEY (id), UNIQUE (name), UNIQUE (hash)
        )
        """,
    ),
    (
        """
        CREATE TABLE pending (
            seq INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, device TEXT, key TEXT NOT NULL,
            edge TEXT NOT NULL, severity TEXT NOT NULL, details TEXT NOT NULL, PRIMARY KEY (seq)
        )
        """,
    ),
    (
        "CREATE TABLE charges (device TEXT NOT NULL, charge INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (device))",
    ),
    (
        """
        CREATE TABLE numbers (
            scope TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (scope, name),
            UNIQUE (scope, number)
        )
        """,
    ),
    (
        """
        CREATE TABLE steps (
            number INTEGER NOT NULL, key TEXT NOT NULL, origin TEXT NOT NULL, action TEXT NOT NULL,
            occasion TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
            message TEXT NOT NULL, PRIMARY KEY (number), UNIQUE (key)
        )
        """,
        "CREATE INDEX steps_open ON steps (number) WHERE state IN ('due', 'started')",
        "CREATE INDEX steps_origin ON steps (origin, number)",
        "CREATE TABLE memory (key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key))",
    ),
)
"""One tuple of statements for each version of the schema, in order; the first makes version 1.

Steps are only ever added. This is all that alembic would give us for nine tables in one kind of database, without its
environment, its second configuration file and its own synchronous engine; when PostgreSQL joins, look again.
"""
VERSION = len(MIGRATIONS)
