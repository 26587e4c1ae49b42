"""Replicas, links and transfers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "replicas",
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("size", _WHOLE),
        sa.Column("checksum", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("ours", sa.Boolean, nullable=False),
        sa.Column("directory", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_replicas_site_state", "replicas", ["site", "state"])
    op.create_table(
        "links",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("protocol", sa.Text, primary_key=True),
        sa.Column("latency_seconds", sa.Float, nullable=False),
        sa.Column("file_seconds", sa.Float, nullable=False),
        sa.Column("bytes_per_second", sa.Float, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "transfers",
        sa.Column("seq", _WHOLE, primary_key=True),
        sa.Column("batch", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("files", sa.Integer, nullable=False),
        sa.Column("size_bytes", _WHOLE, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("trouble", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
    )
