"""The journal's first form."""

import sqlalchemy as sa
from alembic import op

from foretell_relayer.tables import LONG

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "identity",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_identity"),
    )
    op.create_table(
        "lease",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", LONG, nullable=False),
        sa.Column("holder", sa.String(64)),
        sa.Column("host", sa.String(128)),
        sa.Column("pid", sa.Integer()),
        sa.Column("started_at", sa.Float()),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lease"),
    )
    op.create_table(
        "blocks",
        sa.Column("number", LONG, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_blocks"),
    )
    _requests()
    _attempts()
    op.create_table(
        "history",
        sa.Column("id", LONG, nullable=False, autoincrement=True),
        sa.Column("request_id", sa.LargeBinary(32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
    )
    op.create_index("ix_history_request_id", "history", ["request_id"])


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("request_id", sa.LargeBinary(32), nullable=False),
        sa.Column("model_id", sa.LargeBinary(32), nullable=False),
        sa.Column("requester", sa.String(42), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("min_assurance", sa.Integer(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("from_receipt", sa.Boolean(), nullable=False),
        sa.Column("deadline", LONG, nullable=False),
        sa.Column("value_at_risk", sa.String(80), nullable=False),
        sa.Column("fee", sa.String(80), nullable=False),
        sa.Column("block_number", LONG, nullable=False),
        sa.Column("step", sa.String(16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("wake_at", LONG, nullable=False),
        sa.Column("retry_at", sa.Float(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("infer_failures", sa.Integer(), nullable=False),
        sa.Column("prove_failures", sa.Integer(), nullable=False),
        sa.Column("outputs", sa.Text()),
        sa.Column("proof", sa.LargeBinary()),
        sa.Column("outcome", sa.String(16)),
        sa.PrimaryKeyConstraint("request_id", name="pk_requests"),
    )
    op.create_index("ix_requests_step", "requests", ["step"])
    op.create_index("ix_requests_block_number", "requests", ["block_number"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("tx_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("request_id", sa.LargeBinary(32), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("nonce", LONG, nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("max_fee", sa.String(80), nullable=False),
        sa.Column("tip", sa.String(80), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("block_number", LONG),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tx_hash", name="pk_attempts"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], name="fk_attempts_request_id"),
    )
    op.create_index("ix_attempts_state", "attempts", ["state"])
    op.create_index("ix_attempts_request_id", "attempts", ["request_id"])


def downgrade() -> None:
    """There is nothing before this form."""
    raise NotImplementedError("the journal's first form has nothing before it")
