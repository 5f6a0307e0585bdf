"""A full node: imports blocks with their sidecars, checks every bundle's evidence and has no model.

A block is valid if its header follows from its parent, its extra data is the sidecar's root, every bundle's
evidence holds in the parent state, and executing its transactions asks for exactly these bundles in exactly
this order and gives the state, receipts and gas that the header states.
"""

from collections.abc import Sequence
from typing import Any, Final

import rlp
from eth.abc import BlockAPI, BlockHeaderAPI
from eth.exceptions import HeaderNotFound
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_utils import ValidationError

from foretell_evm.blocks import next_header
from foretell_evm.config import ChainConfig
from foretell_evm.errors import BlockRejected, ConfigError, EvidenceError
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.execution import Executor
from foretell_evm.genesis import create_chain
from foretell_evm.resolution import CheckedBundle, InferenceNeeded, Resolution, Sidecar, resolving
from foretell_evm.vm import ForetellVM
from foretell_spec.bundle import Bundle, sidecar_root

_FIXED_FIELDS: Final = (
    "uncles_hash", "coinbase", "difficulty", "block_number", "gas_limit", "mix_hash", "nonce",
    "base_fee_per_gas", "withdrawals_root", "excess_blob_gas", "parent_beacon_block_root", "requests_hash",
)  # fmt: skip
"""Header fields that follow from the parent alone."""

_HEADER_FIELDS: Final[tuple[str, ...]] = PragueBlockHeader._meta.field_names


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
        self._checker = EvidenceChecker(config.chain_id)

    @property
    def head(self) -> BlockHeaderAPI:
        """Header of the last imported block."""
        return self._head

    def import_block(
        self, block_rlp: bytes, sidecar: Sequence[Bundle], block_hash: bytes | None = None
    ) -> BlockHeaderAPI:
        """Check a block and its sidecar against everything, and make it the head.

        Args:
            block_rlp: the block as RLP.
            sidecar: its bundles in order of first use.
            block_hash: the hash that whoever decides on blocks announced. The time of a block is its
            builder's to
                choose; only this hash says that nobody changed it.

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
        return self._head

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

    def _check_sidecar_root(self, header: BlockHeaderAPI, sidecar: Sequence[Bundle]) -> None:
        limit = self._config.limits.bundles_per_block
        if len(sidecar) > limit:
            raise BlockRejected("sidecar size", f"{len(sidecar)} bundles, and a block has at most {limit}")
        root = sidecar_root(sidecar)
        if header.extra_data != root:
            raise BlockRejected(
                "sidecar root", f"the header has {_show(header.extra_data)}, the sidecar {_show(root)}"
            )

    def _check_evidence(self, sidecar: Sequence[Bundle]) -> list[CheckedBundle]:
        state = self._executor.state_at(self._head, self._head.state_root)
        checked = []
        for index, bundle in enumerate(sidecar):
            try:
                checked.append(CheckedBundle(bundle, self._checker.check(bundle, state)))
            except EvidenceError as error:
                raise BlockRejected("evidence", f"bundle {index}: {error}") from None
        return checked

    def _execute(self, block: BlockAPI, sidecar: Sequence[CheckedBundle]) -> BlockHeaderAPI:
        resolution = Resolution(Sidecar(sidecar))
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
        if len(resolution.used) != len(sidecar):
            unused = sidecar[len(resolution.used)].bundle.request_id
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
