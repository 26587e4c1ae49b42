"""The tables. `sqlite.py` writes the same by hand; a test holds the two together.

Runs have a UUID outside and an integer inside, which is what the large tables repeat.
"""

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from cwlbalsam.store.transfer_tables import add_tables

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

programs = Table(
    "programs",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("used", Float, nullable=False),  # seconds since the epoch: when a run last asked to keep it
)

runs = Table(
    "runs",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("program", Text, ForeignKey("programs.digest"), nullable=False),
    Column("created", Float, nullable=False),
    Column("claimed", Float, nullable=False),
    Column("directory", Text, nullable=False),
    Column("outdir", Text, nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    Column("options", LargeBinary, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("ended", Float, nullable=False),
    Column("outputs", LargeBinary),
    Column("message", Text, nullable=False),
    Column("tally", Text),  # JSON: jobs by state, once the run has ended, so that a list of runs reads no jobs
    Index(None, "program"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("run", Integer, ForeignKey("runs.key"), primary_key=True),
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("process", Integer, nullable=False),
    Column("step_process", Integer),
    Column("step_index", Integer),
    Column("inputs", LargeBinary, nullable=False),
    Column("state", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("message", Text, nullable=False),
    Column("outcome", LargeBinary),
    Column("updated", Float, nullable=False),
    sqlite_with_rowid=False,
)

edges = Table(
    "edges",
    metadata,
    Column("run", Integer, ForeignKey("runs.key"), primary_key=True),
    Column("parent", Integer, primary_key=True),
    Column("child", Integer, primary_key=True),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("run", Integer, ForeignKey("runs.key"), nullable=False),
    Column("job", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("time", Float, nullable=False),
    Column("message", Text, nullable=False),
    Index(None, "run"),
    sqlite_autoincrement=True,  # a reader's cursor must never see a number again, even after a run was removed
)

add_tables(metadata)
