"""The tables of `transfers.py`: copies of files, links between sites, and what went over them."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, Table, Text

# SQLite's own integer keys have 64 bits, but only under the name INTEGER.
Whole = BigInteger().with_variant(Integer, "sqlite")


def add_tables(metadata: MetaData) -> None:
    """Into the store's schema."""
    Table(
        "replicas",
        metadata,
        Column("file", Text, primary_key=True),  # `jobs.replicas.file_key`
        Column("site", Text, primary_key=True),
        Column("path", Text, nullable=False),
        Column("state", Integer, nullable=False),
        Column("size", Whole),
        Column("checksum", Text, nullable=False),
        Column("generation", Integer, nullable=False),
        Column("ours", Boolean, nullable=False),
        Column("directory", Boolean, nullable=False),
        Index(None, "site", "state"),
        sqlite_with_rowid=False,
    )
    Table(
        "links",
        metadata,
        Column("source", Text, primary_key=True),
        Column("target", Text, primary_key=True),
        Column("protocol", Text, primary_key=True),
        Column("latency_seconds", Float, nullable=False),
        Column("file_seconds", Float, nullable=False),
        Column("bytes_per_second", Float, nullable=False),
        Column("samples", Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    Table(
        "transfers",
        metadata,
        Column("seq", Whole, primary_key=True),
        Column("batch", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("protocol", Text, nullable=False),
        Column("started", Float, nullable=False),
        Column("seconds", Float, nullable=False),
        Column("files", Integer, nullable=False),
        Column("size_bytes", Whole, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("failed", Integer, nullable=False),
        Column("trouble", Text, nullable=False),
        Column("message", Text, nullable=False),
    )
