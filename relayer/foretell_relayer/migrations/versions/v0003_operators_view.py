"""What operators see and ask for: orders and their state, outcomes, divergences, costs."""

import sqlalchemy as sa
from alembic import op

from foretell_relayer.tables import LONG

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables; all of them start empty."""
    op.create_table(
        "control",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.String(32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_control"),
    )
    op.create_table(
        "orders",
        sa.Column("id", LONG, nullable=False, autoincrement=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("argument", sa.String(80), nullable=False),
        sa.Column("answered_at", sa.Float()),
        sa.Column("done", sa.Boolean()),
        sa.Column("answer", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
    )
    op.create_index("ix_orders_answered_at", "orders", ["answered_at"])
    _books()


def _books() -> None:
    op.create_table(
        "outcomes",
        sa.Column("request_id", sa.LargeBinary(32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("operator", sa.String(42), nullable=False),
        sa.Column("mine", sa.Boolean(), nullable=False),
        sa.Column("gap", LONG),
        sa.Column("earned", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_outcomes"),
    )
    op.create_index("ix_outcomes_at", "outcomes", ["at"])
    op.create_table(
        "divergences",
        sa.Column("request_id", sa.LargeBinary(32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("model_id", sa.LargeBinary(32), nullable=False),
        sa.Column("operator", sa.String(42), nullable=False),
        sa.Column("output_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("our_hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_divergences"),
    )
    op.create_index("ix_divergences_at", "divergences", ["at"])
    op.create_table(
        "costs",
        sa.Column("tx_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("request_id", sa.LargeBinary(32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("gas", LONG, nullable=False),
        sa.Column("wei", sa.String(80), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tx_hash", name="pk_costs"),
    )
    op.create_index("ix_costs_at", "costs", ["at"])


def downgrade() -> None:
    """Drop the tables: orders and books go, requests and transactions stay."""
    for name in ("costs", "divergences", "outcomes", "orders", "control"):
        op.drop_table(name)
