"""The journal's tables. ``migrations/`` makes them; a test holds the two to one form.

Addresses are text, hashes are bytes, integers that may exceed 63 bits are decimal text. Times named
``*_at`` are wall clock unless they say otherwise; wake-up times and deadlines are those of the chain.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LONG: Final = BigInteger().with_variant(Integer, "sqlite")
"""Integers of 64 bits. SQLite has no others, and counts rows up by itself only under this name."""

identity = Table(
    "identity",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(128), nullable=False),
)
"""What the journal is pinned to."""

lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", LONG, nullable=False),
    Column("holder", String(64)),
    Column("host", String(128)),
    Column("pid", Integer),
    Column("started_at", Float),
    Column("expires_at", Float, nullable=False),
)
"""One row: who may write. Each new holder gets a higher token; a writer with an old one is refused."""

blocks = Table(
    "blocks",
    metadata,
    Column("number", LONG, primary_key=True),
    Column("hash", LargeBinary(32), nullable=False),
)
"""Ends of the ranges that were read, newest last: where to go back to after a reorganisation."""

requests = Table(
    "requests",
    metadata,
    Column("request_id", LargeBinary(32), primary_key=True),
    Column("model_id", LargeBinary(32), nullable=False),
    Column("requester", String(42), nullable=False),
    Column("inputs", Text, nullable=False),
    Column("min_assurance", Integer, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("from_receipt", Boolean, nullable=False),
    Column("deadline", LONG, nullable=False),
    Column("value_at_risk", String(80), nullable=False),
    Column("fee", String(80), nullable=False),
    Column("block_number", LONG, nullable=False),
    Column("step", String(16), nullable=False),
    Column("why", Text, nullable=False),
    Column("wake_at", LONG, nullable=False),  # chain time
    Column("retry_at", Float, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("infer_failures", Integer, nullable=False),
    Column("prove_failures", Integer, nullable=False),
    Column("outputs", Text),
    Column("proof", LargeBinary),
    Column("outcome", String(16)),
    Column("closed_at", Float),
    Column("inputs_sum", LargeBinary(32)),
    Column("outputs_sum", LargeBinary(32)),
    Index("ix_requests_step", "step"),
    Index("ix_requests_block_number", "block_number"),
)
"""One row for each request of a model that we serve. ``step`` is the queue that it stands in.

The sums are checked whenever a row is read: a bit that fell over in a file would else be signed, delivered
and slashed.
"""

attempts = Table(
    "attempts",
    metadata,
    Column("id", LONG, primary_key=True, autoincrement=True),
    Column("tx_hash", LargeBinary(32)),
    Column("request_id", LargeBinary(32), ForeignKey("requests.request_id"), nullable=False),
    Column("action", String(16), nullable=False),
    Column("nonce", LONG, nullable=False),
    Column("raw", LargeBinary),
    Column("max_fee", String(80), nullable=False),
    Column("tip", String(80), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("block_number", LONG),
    Column("misses", Integer, nullable=False),
    UniqueConstraint("tx_hash"),
    Index("ix_attempts_state", "state"),
    Index("ix_attempts_request_id", "request_id"),
)
"""Every nonce that was reserved, and the transaction that was signed for it, written before it was sent."""

history = Table(
    "history",
    metadata,
    Column("id", LONG, primary_key=True, autoincrement=True),
    Column("request_id", LargeBinary(32), nullable=False),
    Column("at", Float, nullable=False),
    Column("what", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_history_request_id", "request_id"),
)
"""What happened to each request, for people."""

# ------------------------------------------------------------------------- what operators see and ask for

control = Table(
    "control",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(32), nullable=False),
    Column("at", Float, nullable=False),
)
"""What the operator decided and a restart must not forget, such as whether requests are taken."""

orders = Table(
    "orders",
    metadata,
    Column("id", LONG, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("argument", String(80), nullable=False),
    Column("answered_at", Float),
    Column("done", Boolean),
    Column("answer", Text),
    Index("ix_orders_answered_at", "answered_at"),
)
"""What the operator asked of the relayer, and its answer. The one table that others than the holder of the
lease write to."""

outcomes = Table(
    "outcomes",
    metadata,
    Column("request_id", LargeBinary(32), primary_key=True),
    Column("at", Float, nullable=False),
    Column("status", String(16), nullable=False),
    Column("operator", String(42), nullable=False),
    Column("mine", Boolean, nullable=False),
    Column("gap", LONG),
    Column("earned", String(80), nullable=False),
    Index("ix_outcomes_at", "at"),
)
"""How requests ended: whose output stood, the trust gap in seconds of chain time (null where there was no
output), and the fee in wei that was ours."""

divergences = Table(
    "divergences",
    metadata,
    Column("request_id", LargeBinary(32), primary_key=True),
    Column("at", Float, nullable=False),
    Column("model_id", LargeBinary(32), nullable=False),
    Column("operator", String(42), nullable=False),
    Column("output_hash", LargeBinary(32), nullable=False),
    Column("our_hash", LargeBinary(32), nullable=False),
    Index("ix_divergences_at", "at"),
)
"""Outputs of other operators that were not ours."""

costs = Table(
    "costs",
    metadata,
    Column("tx_hash", LargeBinary(32), primary_key=True),
    Column("request_id", LargeBinary(32), nullable=False),
    Column("at", Float, nullable=False),
    Column("action", String(16), nullable=False),
    Column("gas", LONG, nullable=False),
    Column("wei", String(80), nullable=False),
    Column("success", Boolean, nullable=False),
    Index("ix_costs_at", "at"),
)
"""What each confirmed transaction cost."""
