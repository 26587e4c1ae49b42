"""Sessions and the jobs that they hold; the last transaction of each writer."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("session", sa.Text))
    for name, columns, condition in (
        ("ix_jobs_offered", ["run", "id"], sa.text("session = ''")),
        ("ix_jobs_held", ["session"], sa.text("session > ''")),
    ):
        op.create_index(name, "jobs", columns, sqlite_where=condition, postgresql_where=condition)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("renewed", sa.Float, nullable=False),
        sa.Column("ttl", sa.Float, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_table(
        "writers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("used", sa.Float, nullable=False),
    )
