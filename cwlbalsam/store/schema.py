"""The tables, on SQLite and on PostgreSQL. `sqlite.py` writes the same by hand; a test holds the two together.

Runs have a UUID outside and an integer inside, which is what the large tables repeat.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

# A range of ids is what begins with the same characters, whatever the language of the database.
RunId = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite's own integer keys have 64 bits, but only under the name INTEGER.
Sequence = BigInteger().with_variant(Integer, "sqlite")

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
    Column("id", RunId, nullable=False, unique=True),
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
    Column("session", Text),  # who may run it: NULL nobody but its run, '' whoever asks first, else a session's id
    # Jobs of local runs are in neither index.
    Index("ix_jobs_offered", "run", "id", sqlite_where=text("session = ''"), postgresql_where=text("session = ''")),
    Index("ix_jobs_held", "session", sqlite_where=text("session > ''"), postgresql_where=text("session > ''")),
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
    Column("seq", Sequence, primary_key=True),
    Column("run", Integer, ForeignKey("runs.key"), nullable=False),
    Column("job", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("time", Float, nullable=False),
    Column("message", Text, nullable=False),
    Index(None, "run"),
    sqlite_autoincrement=True,  # a reader's cursor must never see a number again, even after a run was removed
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("renewed", Float, nullable=False),  # by the agent's clock
    Column("ttl", Float, nullable=False),  # seconds after `renewed` at which it becomes suspect
    Column("state", Text, nullable=False),  # open, suspect, closed
)

# The last transaction of each process that writes; PostgreSQL alone needs it (`postgres_link.py`).
writers = Table(
    "writers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("used", Float, nullable=False),
)

# What links between sites have been seen to do: `jobs.links.Figures`.
links = Table(
    "links",
    metadata,
    Column("source", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("protocol", Text, primary_key=True),
    Column("latency_seconds", Float, nullable=False),
    Column("file_seconds", Float, nullable=False),
    Column("bytes_per_second", Float, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("learned", Float, nullable=False),
    sqlite_with_rowid=False,
)
