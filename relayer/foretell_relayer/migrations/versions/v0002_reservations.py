"""Nonces are reserved before they are signed for, rows carry checksums, closed requests know since when."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from foretell_relayer.journal.sums import checksum
from foretell_relayer.tables import LONG

revision = "0002"
down_revision = "0001"

_COPIED = "request_id, action, nonce, raw, max_fee, tip, state, created_at, block_number, misses, tx_hash"
_OLD = f"SELECT {_COPIED} FROM old_attempts"  # noqa: S608  our own words


def upgrade() -> None:
    """Number the attempts, so that one may exist before its hash does; fill in sums and times."""
    op.rename_table("attempts", "old_attempts")
    _forget_names()
    op.create_table(
        "attempts",
        sa.Column("id", LONG, nullable=False, autoincrement=True),
        sa.Column("tx_hash", sa.LargeBinary(32)),
        *_columns(raw_nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], name="fk_attempts_request_id"),
        sa.UniqueConstraint("tx_hash", name="uq_attempts_tx_hash"),
    )
    op.execute(f"INSERT INTO attempts ({_COPIED}) {_OLD} ORDER BY created_at")
    _finish()
    for column in (
        sa.Column("closed_at", sa.Float()),
        sa.Column("inputs_sum", sa.LargeBinary(32)),
        sa.Column("outputs_sum", sa.LargeBinary(32)),
    ):
        op.add_column("requests", column)
    op.execute(
        "UPDATE requests SET closed_at = (SELECT max(at) FROM history WHERE history.request_id ="
        " requests.request_id) WHERE outcome IS NOT NULL"
    )
    _fill_sums()


def downgrade() -> None:
    """Take all of that away. A reservation was never signed, so nothing is lost with it."""
    for name in ("closed_at", "inputs_sum", "outputs_sum"):
        op.drop_column("requests", name)
    op.rename_table("attempts", "old_attempts")
    _forget_names()
    op.create_table(
        "attempts",
        sa.Column("tx_hash", sa.LargeBinary(32), nullable=False),
        *_columns(raw_nullable=False),
        sa.PrimaryKeyConstraint("tx_hash", name="pk_attempts"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.request_id"], name="fk_attempts_request_id"),
    )
    op.execute(f"INSERT INTO attempts ({_COPIED}) {_OLD} WHERE tx_hash IS NOT NULL")
    _finish()


def _columns(*, raw_nullable: bool) -> list[sa.Column[Any]]:
    return [
        sa.Column("request_id", sa.LargeBinary(32), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("nonce", LONG, nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=raw_nullable),
        sa.Column("max_fee", sa.String(80), nullable=False),
        sa.Column("tip", sa.String(80), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("block_number", LONG),
        sa.Column("misses", sa.Integer(), nullable=False),
    ]


def _forget_names() -> None:
    """Names of indices and keys are the schema's, not the table's: the new table needs them."""
    for name in ("ix_attempts_state", "ix_attempts_request_id"):
        op.drop_index(name, table_name="old_attempts")
    if op.get_bind().dialect.name == "postgresql":
        for name in ("pk_attempts", "fk_attempts_request_id"):
            op.drop_constraint(name, "old_attempts")
        op.execute("ALTER TABLE old_attempts DROP CONSTRAINT IF EXISTS uq_attempts_tx_hash")


def _finish() -> None:
    op.drop_table("old_attempts")
    op.create_index("ix_attempts_state", "attempts", ["state"])
    op.create_index("ix_attempts_request_id", "attempts", ["request_id"])


def _fill_sums() -> None:
    bind = op.get_bind()
    columns = ("request_id", "inputs", "outputs", "inputs_sum", "outputs_sum")
    requests = sa.table("requests", *(sa.column(name) for name in columns))
    for request_id, inputs, outputs in bind.execute(
        sa.select(requests.c.request_id, requests.c.inputs, requests.c.outputs)
    ).all():
        sums = {"inputs_sum": checksum(request_id, inputs), "outputs_sum": checksum(request_id, outputs)}
        bind.execute(requests.update().where(requests.c.request_id == request_id).values(**sums))
