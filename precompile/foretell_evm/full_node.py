"""A full node: imports blocks with their sidecars, checks every bundle's evidence and has no model.

A block is valid if its header follows from its parent, its extra data is the sidecar's root, the evidence of
every answer and dissent holds in the parent state, and executing its transactions asks for exactly these
answers in exactly this order and gives the state, receipts and gas that the header states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import rlp
from eth.abc import BlockAPI, BlockHeaderAPI, StateAPI
from eth.exceptions import HeaderNotFound
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_utils import ValidationError

from foretell_evm.blocks import next_header
from foretell_evm.config import ChainConfig
from foretell_evm.errors import BlockRejected, ConfigError, EvidenceError
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.execution import Executor
from foretell_evm.genesis import create_chain
from foretell_evm.resolution import CheckedAnswer, InferenceNeeded, Replay, Resolution, resolving
from foretell_evm.vm import ForetellVM
from foretell_spec.sidecar import Sidecar

_FIXED_FIELDS: Final = (
    "uncles_hash", "coinbase", "difficulty", "block_number", "gas_limit", "mix_hash", "nonce",
    "base_fee_per_gas", "withdrawals_root", "excess_blob_gas", "parent_beacon_block_root", "requests_hash",
)  # fmt: skip
"""Header fields that follow from the parent alone."""

_HEADER_FIELDS: Final[tuple[str, ...]] = PragueBlockHeader._meta.field_names


@dataclass(frozen=True, slots=True)
class ImportedBlock:
    """A block that holds: its header, its transactions' hashes, and what its answers are worth."""

    header: BlockHeaderAPI
    transactions: tuple[bytes, ...]
    answers: tuple[CheckedAnswer, ...]


class FullNode:
    """A chain that grows by imported blocks alone."""

    def __init__(self, config: ChainConfig) -> None:
        """Start at genesis.

        Raises:
            ConfigError: the configuration leaves the genesis time to the clock, so no two nodes would agree
            on it.
        """
        if config.genesis_time is None:
            raise ConfigError("a full node needs the genesis time of the chain that it follows")
        self._config = config
        self._chain, self._head = create_chain(config, config.genesis_time)
        self._executor = Executor(self._chain)
        self._checker = EvidenceChecker(config.chain_id, config.quorum)

    @property
    def head(self) -> BlockHeaderAPI:
        """Header of the last imported block."""
        return self._head

    def import_block(
        self, block_rlp: bytes, sidecar: Sidecar, block_hash: bytes | None = None
    ) -> BlockHeaderAPI:
        """:meth:`import_checked`, for those who want the header alone."""
        return self.import_checked(block_rlp, sidecar, block_hash).header

    def import_checked(
        self, block_rlp: bytes, sidecar: Sidecar, block_hash: bytes | None = None
    ) -> ImportedBlock:
        """Check a block and its sidecar against everything, and make it the head.

        Args:
            block_rlp: the block as RLP.
            sidecar: its answers in order of first use, and its dissents.
            block_hash: the hash that whoever decides on blocks announced. The time of a block is its
                builder's to choose; only this hash says that nobody changed it.

        Raises:
            BlockRejected: some rule does not hold; ``rule`` names it. The node is as before.
        """
        block = _decode(block_rlp)
        if block_hash is not None and block.hash != block_hash:
            raise BlockRejected(
                "block hash", f"announced 0x{block_hash.hex()}, the block has 0x{block.hash.hex()}"
            )
        self._check_header(block)
        self._check_sidecar_root(block.header, sidecar)
        checked = self._check_evidence(sidecar)
        self._head = self._execute(block, checked)
        hashes = tuple(bytes(transaction.hash) for transaction in block.transactions)
        return ImportedBlock(self._head, hashes, tuple(checked))

    def _check_header(self, block: BlockAPI) -> None:
        header, parent = block.header, self._head
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

    def _check_evidence(self, sidecar: Sidecar) -> list[CheckedAnswer]:
        state = self._executor.state_at(self._head, self._head.state_root)
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

    def _execute(self, block: BlockAPI, answers: Sequence[CheckedAnswer]) -> BlockHeaderAPI:
        resolution = Resolution(Replay(answers))
        vm = self._chain.get_vm(self._chain.create_header_from_parent(self._head))
        try:
            with resolving(resolution):
                executed = vm.import_block(block).block
        except InferenceNeeded as needed:
            raise BlockRejected(
                "sidecar order",
                f"execution asks for request 0x{needed.job.request_id.hex()}, which is not next",
            ) from None
        except Exception as error:  # noqa: BLE001 - py-evm raises many classes for hostile blocks; all mean invalid
            raise BlockRejected("execution", str(error) or type(error).__name__) from None
        self._compare(executed.header, block.header)
        if len(resolution.used) != len(answers):
            unused = answers[len(resolution.used)].answer.request_id
            raise BlockRejected("sidecar use", f"nothing asks for request 0x{unused.hex()}")
        self._chain.chaindb.persist_block(executed)
        return executed.header

    def _compare(self, executed: BlockHeaderAPI, given: BlockHeaderAPI) -> None:
        for name in _HEADER_FIELDS:
            ours, theirs = getattr(executed, name), getattr(given, name)
            if ours != theirs:
                raise BlockRejected(name, f"execution gives {_show(ours)}, the header states {_show(theirs)}")


def _decode(block_rlp: bytes) -> BlockAPI:
    try:
        block: BlockAPI = rlp.decode(block_rlp, sedes=ForetellVM.get_block_class())
    except (rlp.exceptions.RLPException, ValidationError, HeaderNotFound, TypeError, ValueError) as error:
        raise BlockRejected("encoding", f"not the RLP of a block: {error}") from None
    return block


def _show(value: Any) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
