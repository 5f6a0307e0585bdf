"""Importing a block: everything that must hold for it, checked without any model.

A block is valid if its header follows from its parent, its extra data is the sidecar's root, the evidence of
every answer and dissent holds in the parent state, and building it anew from its transactions, with exactly
these answers in exactly this order, gives the very header.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import rlp
from eth.abc import BlockAPI, BlockHeaderAPI, ComputationAPI, StateAPI
from eth.chains.base import Chain
from eth.exceptions import HeaderNotFound, UnrecognizedTransactionType
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_utils import ValidationError

from foretell_evm.blocks import BlockRecord, next_header
from foretell_evm.builder import BlockBuilder, BuiltBlock
from foretell_evm.config import ChainConfig
from foretell_evm.errors import BlockRejected, EvidenceError
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.execution import Executor
from foretell_evm.history import History
from foretell_evm.resolution import CheckedAnswer, InferenceNeeded, Replay
from foretell_evm.storage.store import Store
from foretell_evm.vm import ForetellVM
from foretell_spec.sidecar import Sidecar

_FIXED_FIELDS: Final = (
    "uncles_hash", "coinbase", "difficulty", "block_number", "gas_limit", "mix_hash", "nonce",
    "base_fee_per_gas", "withdrawals_root", "excess_blob_gas", "parent_beacon_block_root",
)  # fmt: skip
"""Header fields that follow from the parent alone."""

_UNDECODABLE: Final = (
    rlp.exceptions.RLPException, ValidationError, HeaderNotFound, UnrecognizedTransactionType, TypeError,
    ValueError,
)  # fmt: skip
"""What py-evm raises for bytes that are no block."""

_HEADER_FIELDS: Final[tuple[str, ...]] = PragueBlockHeader._meta.field_names


@dataclass(frozen=True, slots=True)
class ImportedBlock:
    """A block that holds, what its answers are worth, and the computations of its transactions."""

    record: BlockRecord
    answers: tuple[CheckedAnswer, ...]
    computations: tuple[ComputationAPI, ...]

    @property
    def header(self) -> BlockHeaderAPI:
        """The block's header."""
        return self.record.header

    @property
    def transactions(self) -> tuple[bytes, ...]:
        """Hashes of the block's transactions."""
        return tuple(bytes(transaction.hash) for transaction in self.record.block.transactions)


class Importer:
    """Lets a chain grow by blocks that others made. Whoever calls it holds the chain's lock, if any."""

    def __init__(
        self, config: ChainConfig, chain: Chain, checker: EvidenceChecker, store: Store, history: History
    ) -> None:
        self._config = config
        self._chain = chain
        self._executor = Executor(chain)
        self._checker = checker
        self._store = store
        self._history = history

    def import_block(
        self, block_rlp: bytes, sidecar: Sidecar, block_hash: bytes | None = None
    ) -> ImportedBlock:
        """Check a block and its sidecar against everything, and make it the head.

        Args:
            block_rlp: the block as RLP.
            sidecar: its answers in order of first use, and its dissents.
            block_hash: the hash that whoever decides on blocks announced. The time of a block is its
                builder's to choose; only this hash says that nobody changed it.

        Raises:
            BlockRejected: some rule does not hold; ``rule`` names it. The chain is as before.
            StoreError: the block cannot be kept.
        """
        try:
            imported = self._check(self._history.head, block_rlp, sidecar, block_hash)
        except BaseException:
            self._store.nodes.set_aside()
            raise
        self._history.append(imported.record, imported.computations)
        return imported

    def _check(
        self, parent: BlockRecord, block_rlp: bytes, sidecar: Sidecar, block_hash: bytes | None
    ) -> ImportedBlock:
        block = _decode(block_rlp)
        if block_hash is not None and block.hash != block_hash:
            raise BlockRejected(
                "block hash", f"announced 0x{block_hash.hex()}, the block has 0x{block.hash.hex()}"
            )
        self._check_header(block, parent.header)
        self._check_sidecar_root(block.header, sidecar)
        answers = self._check_evidence(sidecar, self._executor.state_at(parent.header, parent.state_root))
        built = self._execute(block, parent, Replay(answers, sidecar.dissents))
        used = len(built.record.sidecar.answers)
        if used != len(answers):
            raise BlockRejected(
                "sidecar use", f"nothing asks for request 0x{answers[used].answer.request_id.hex()}"
            )
        _compare(built.record.header, block.header)
        # The same block as the built one, which remembers the bytes that it was read from.
        return ImportedBlock(replace(built.record, block=block), tuple(answers), built.computations)

    def _check_header(self, block: BlockAPI, parent: BlockHeaderAPI) -> None:
        header = block.header
        if header.parent_hash != parent.hash:
            raise BlockRejected(
                "parent", f"0x{header.parent_hash.hex()} is not the head 0x{parent.hash.hex()}"
            )
        if header.timestamp <= parent.timestamp:
            raise BlockRejected(
                "timestamp", f"{header.timestamp} is not after the parent's {parent.timestamp}"
            )
        if getattr(block, "withdrawals", ()):
            raise BlockRejected("withdrawals", "this chain has none")
        expected = next_header(parent, header.timestamp, self._config.coinbase)
        for name in _FIXED_FIELDS:
            given, wanted = getattr(header, name), getattr(expected, name)
            if given != wanted:
                raise BlockRejected(name, f"is {_show(given)} and must be {_show(wanted)}")

    def _check_sidecar_root(self, header: BlockHeaderAPI, sidecar: Sidecar) -> None:
        limit = self._config.limits.bundles_per_block
        for count, what in ((sidecar.bundle_count, "bundles"), (len(sidecar.dissents), "dissents")):
            if count > limit:
                raise BlockRejected("sidecar size", f"{count} {what}, and a block has at most {limit}")
        if header.extra_data != sidecar.root:
            raise BlockRejected(
                "sidecar root",
                f"the header has {_show(header.extra_data)}, the sidecar {_show(sidecar.root)}",
            )

    def _check_evidence(self, sidecar: Sidecar, state: StateAPI) -> list[CheckedAnswer]:
        checked = []
        for index, answer in enumerate(sidecar.answers):
            try:
                checked.append(CheckedAnswer(answer, self._checker.check_answer(answer, state)))
            except EvidenceError as error:
                raise BlockRejected("evidence", f"answer {index}: {error}") from None
        self._check_dissents(sidecar, state)
        return checked

    def _check_dissents(self, sidecar: Sidecar, state: StateAPI) -> None:
        answered = {answer.request_id for answer in sidecar.answers}
        told: set[frozenset[bytes]] = set()
        for index, dissent in enumerate(sidecar.dissents):
            if dissent.request_id not in answered:
                raise BlockRejected("dissent", f"dissent {index} is about nothing that this block answers")
            if dissent.claims in told:
                raise BlockRejected("dissent", f"dissent {index} was told before")
            told.add(dissent.claims)
            try:
                self._checker.check_dissent(dissent, state)
            except EvidenceError as error:
                raise BlockRejected("dissent", f"dissent {index}: {error}") from None

    def _execute(self, block: BlockAPI, parent: BlockRecord, replay: Replay) -> BuiltBlock:
        """Build a block of the same transactions."""
        header = next_header(parent.header, block.header.timestamp, self._config.coinbase)
        limit = self._config.limits.bundles_per_block
        builder = BlockBuilder(self._chain, header, parent.state_root, replay, limit)
        try:
            return builder.rebuild(block.transactions)
        except InferenceNeeded as error:
            raise BlockRejected(
                "sidecar order",
                f"execution asks for request 0x{error.job.request_id.hex()}, which is not next",
            ) from None
        except Exception as error:  # noqa: BLE001 - py-evm raises many classes for hostile blocks; all mean invalid
            raise BlockRejected("execution", str(error) or type(error).__name__) from None


def _compare(executed: BlockHeaderAPI, given: BlockHeaderAPI) -> None:
    for name in _HEADER_FIELDS:
        ours, theirs = getattr(executed, name), getattr(given, name)
        if ours != theirs:
            raise BlockRejected(name, f"execution gives {_show(ours)}, the header states {_show(theirs)}")


def _decode(block_rlp: bytes) -> BlockAPI:
    try:
        block: BlockAPI = rlp.decode(block_rlp, sedes=ForetellVM.get_block_class())
    except _UNDECODABLE as error:
        raise BlockRejected("encoding", f"not the RLP of a block: {error}") from None
    return block


def _show(value: Any) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
