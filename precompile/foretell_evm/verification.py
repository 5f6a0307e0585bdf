"""Checking another node's chain from its genesis on, without any model, and telling what was checked."""

from collections.abc import Iterator
from dataclasses import dataclass

from foretell_evm.errors import BlockRejected
from foretell_evm.full_node import FullNode
from foretell_evm.resolution import CheckedAnswer
from foretell_evm.upstream import Upstream


@dataclass(frozen=True, slots=True)
class VerifiedBlock:
    """A block that holds, with what its answers are worth."""

    number: int
    hash: bytes
    gas_used: int
    transactions: tuple[bytes, ...]
    answers: tuple[CheckedAnswer, ...]
    dissents: int


class Verification:
    """Imports a node's blocks one after the other.

    Raises:
        BlockRejected: the node's genesis is not the one of its description, or not ``genesis``.
    """

    def __init__(self, upstream: Upstream, genesis: bytes | None = None) -> None:
        self._upstream = upstream
        self._node = FullNode(upstream.description().config())
        self.genesis: bytes = self._node.head.block.hash
        """Hash of block 0: whoever knows it knows which chain this is."""
        _, _, announced = upstream.block(0)
        for expected, whose in ((announced, "the node's block 0"), (genesis, "the one that you gave")):
            if expected is not None and self.genesis != expected:
                made = f"the node's description makes 0x{self.genesis.hex()}"
                raise BlockRejected("genesis", f"{made}, {whose} is 0x{expected.hex()}")

    def up_to(self, last: int) -> Iterator[VerifiedBlock]:
        """Verify the blocks that follow, up to ``last``.

        Raises:
            BlockRejected: one breaks a rule; nothing behind it is looked at.
            UpstreamError: the node does not give one.
        """
        while self._node.head.number < last:
            number = self._node.head.number + 1
            try:
                yield self._verify(number)
            except BlockRejected as error:
                raise BlockRejected(error.rule, f"block {number}: {error.detail}") from None

    def _verify(self, number: int) -> VerifiedBlock:
        block, sidecar, announced = self._upstream.block(number)
        imported = self._node.import_block(block, sidecar, announced)
        header = imported.header
        return VerifiedBlock(
            number=header.block_number,
            hash=header.hash,
            gas_used=header.gas_used,
            transactions=imported.transactions,
            answers=imported.answers,
            dissents=len(sidecar.dissents),
        )
