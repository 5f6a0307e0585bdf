"""The tables of a chain's database.

``blocks`` ends at the head: going back deletes what lies behind. ``nodes`` only grows: states of blocks that
are gone stay there. ``pending`` is what waited for a block when the node ended.
"""

from typing import Final

FORMAT: Final = 2
"""Kept in the file as ``user_version``; a file of another format is refused."""

TABLES: Final = """
-- With row ids: values are appended, and what is spread over the file by hash is a dense index. A block
-- changes fewer pages so, and its nodes are written in less than half of the time.
CREATE TABLE nodes (
    key BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE TABLE blocks (
    number INTEGER NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    block BLOB NOT NULL,      -- RLP
    forged TEXT,              -- JSON list: indices of transactions that nobody signed
    receipts BLOB NOT NULL,   -- RLP list of encoded receipts
    logs INTEGER NOT NULL,    -- how many
    sidecar TEXT NOT NULL,    -- JSON
    state_root BLOB NOT NULL
);

CREATE TABLE transactions (
    hash BLOB NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL REFERENCES blocks (number) ON DELETE CASCADE,
    position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ix_transactions_number ON transactions (number);

CREATE TABLE pending (
    hash BLOB NOT NULL UNIQUE,
    encoded BLOB NOT NULL,
    forged INTEGER NOT NULL,  -- whether nobody signed it
    arrival INTEGER PRIMARY KEY
);

CREATE TABLE facts (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
"""
