"""Links have a time; replicas and transfers, which nobody had written, go."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("replicas", "transfers", "links"):
        op.drop_table(table)
    op.create_table(
        "links",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("protocol", sa.Text, primary_key=True),
        sa.Column("latency_seconds", sa.Float, nullable=False),
        sa.Column("file_seconds", sa.Float, nullable=False),
        sa.Column("bytes_per_second", sa.Float, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("learned", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
