"""Programs, runs, jobs, edges and events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "programs",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("used", sa.Float, nullable=False),
    )
    _create_runs()
    op.create_table(
        "jobs",
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.key"), primary_key=True),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("process", sa.Integer, nullable=False),
        sa.Column("step_process", sa.Integer),
        sa.Column("step_index", sa.Integer),
        sa.Column("inputs", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("outcome", sa.LargeBinary),
        sa.Column("updated", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "edges",
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.key"), primary_key=True),
        sa.Column("parent", sa.Integer, primary_key=True),
        sa.Column("child", sa.Integer, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.key"), nullable=False),
        sa.Column("job", sa.Integer, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_run", "events", ["run"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("program", sa.Text, sa.ForeignKey("programs.digest"), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("claimed", sa.Float, nullable=False),
        sa.Column("directory", sa.Text, nullable=False),
        sa.Column("outdir", sa.Text, nullable=False),
        sa.Column("inputs", sa.LargeBinary, nullable=False),
        sa.Column("options", sa.LargeBinary, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ended", sa.Float, nullable=False),
        sa.Column("outputs", sa.LargeBinary),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("tally", sa.Text),
    )
    op.create_index("ix_runs_program", "runs", ["program"])
