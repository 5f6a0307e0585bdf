"""The tables of a chain's database.

``blocks`` ends at the head: going back deletes what lies behind. ``nodes`` only grows: states of blocks that
are gone stay there.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, MetaData, Table, Text

FORMAT: Final = 1
"""Kept in the file as ``user_version``; a file of another format is refused."""

metadata: Final = MetaData()

nodes: Final = Table(
    "nodes",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

blocks: Final = Table(
    "blocks",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("block", LargeBinary, nullable=False),  # RLP
    Column("forged", Text),  # JSON list: indices of transactions that nobody signed
    Column("receipts", LargeBinary, nullable=False),  # RLP list of encoded receipts
    Column("logs", Integer, nullable=False),  # how many
    Column("sidecar", Text, nullable=False),  # JSON
    Column("state_root", LargeBinary, nullable=False),
)

transactions: Final = Table(
    "transactions",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("number", ForeignKey("blocks.number", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    sqlite_with_rowid=False,
)

facts: Final = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
