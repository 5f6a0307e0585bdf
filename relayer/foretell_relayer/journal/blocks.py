"""What the journal knows of the chain: how far its blocks were read, and which requests they held."""

import json
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Connection, delete, select, update

from foretell_relayer import tables
from foretell_relayer.journal.database import Database
from foretell_relayer.journal.sums import checksum
from foretell_relayer.journal.words import upsert
from foretell_relayer.records import DECIDE, AttemptState, BlockRef, Found

KEPT_BLOCKS: Final = 512
"""How many ends of ranges are remembered, and so how deep a reorganisation may go."""

_AWAKE: Final = {"wake_at": 0, "retry_at": 0.0}
_R, _A, _B = tables.requests.c, tables.attempts.c, tables.blocks.c


class BlockBook(Database):
    """Blocks that were read, and what was seen in them."""

    def checkpoints(self) -> list[BlockRef]:
        """Ends of the ranges that were read, newest first."""
        query = select(tables.blocks).order_by(_B.number.desc())
        with self._read() as connection:
            return [BlockRef(row["number"], row["hash"]) for row in connection.execute(query).mappings()]

    def record(self, found: Sequence[Found], touched: Collection[bytes], end: BlockRef) -> None:
        """Remember what a range of blocks held, and that it was read up to ``end``.

        A request that was known already keeps what we did for it: its id binds model and input, not its
        policy. It is decided again, as one that a reorganisation took away sleeps until it is back.
        """
        with self._write() as connection:
            for each in found:
                self._record(connection, each)
            for request_id in touched:
                here = (_R.request_id == request_id) & _R.outcome.is_(None)
                connection.execute(update(tables.requests).where(here).values(**_AWAKE))
            block = upsert(connection, tables.blocks).values(number=end.number, hash=end.hash)
            connection.execute(
                block.on_conflict_do_update(index_elements=["number"], set_={"hash": end.hash})
            )
            keep = select(_B.number).order_by(_B.number.desc()).limit(KEPT_BLOCKS)
            connection.execute(delete(tables.blocks).where(_B.number.not_in(keep)))

    def _record(self, connection: Connection, found: Found) -> None:
        policy = {
            "requester": found.requester,
            "min_assurance": int(found.min_assurance),
            "provisional": found.provisional,
            "from_receipt": found.from_receipt,
            "deadline": min(found.deadline, (1 << 63) - 1),
            "value_at_risk": str(found.value_at_risk),
            "fee": str(found.fee),
            "block_number": found.block_number,
        }
        inputs = json.dumps(list(found.inputs))
        start = {
            "request_id": found.request_id,
            "model_id": found.model_id,
            "inputs": inputs,
            "inputs_sum": checksum(found.request_id, inputs),
            "step": DECIDE,
            "why": "",
            "wake_at": 0,
            "retry_at": 0.0,
            "failures": 0,
            "infer_failures": 0,
            "prove_failures": 0,
        }
        query = upsert(connection, tables.requests).values(**start, **policy)
        connection.execute(query.on_conflict_do_update(index_elements=["request_id"], set_=policy | _AWAKE))
        self._note(connection, found.request_id, "seen", f"in block {found.block_number}")

    def rewind(self, ancestor: int) -> None:
        """Forget blocks above ``ancestor``; look again at every request and transaction of theirs."""
        with self._write() as connection:
            connection.execute(
                update(tables.attempts)
                .where(_A.block_number > ancestor)
                .values(state=AttemptState.SENT.value, block_number=None, misses=0)
            )
            connection.execute(delete(tables.blocks).where(_B.number > ancestor))
            connection.execute(
                update(tables.requests)
                .where(_R.outcome.is_(None) | (_R.block_number > ancestor))
                .values(step=DECIDE, wake_at=0, retry_at=0.0, outcome=None, closed_at=None)
            )
