"""The block builder: takes ready transactions, executes them with their answers, and waits for nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from eth.abc import BlockHeaderAPI, ComputationAPI, ReceiptAPI, SignedTransactionAPI
from eth.chains.base import Chain
from eth.vm.forks.cancun.state import get_total_blob_gas
from eth.vm.forks.prague.constants import MAX_BLOB_GAS_PER_BLOCK
from eth_utils import ValidationError

from foretell_evm.blocks import BlockRecord, log_records
from foretell_evm.resolution import InferenceNeeded, Resolution, Source, resolving
from foretell_evm.vm import as_foretell_vm, with_fields
from foretell_spec.operator import InferenceJob
from foretell_spec.sidecar import Sidecar

_LEAST_TRANSACTION_GAS: Final = 21_000


@dataclass(slots=True)
class BuiltBlock:
    """A new block, and the transactions that are not in it though they were ready.

    ``needing`` asked for another answer than when they were pre-executed, ``invalid`` may no longer be in a
    block; both by hash. Those for which there was no room are in neither.
    """

    record: BlockRecord
    computations: tuple[ComputationAPI, ...]
    needing: dict[bytes, InferenceJob] = field(default_factory=dict)
    invalid: dict[bytes, str] = field(default_factory=dict)


class BlockBuilder:
    """Builds on one header, once."""

    def __init__(
        self, chain: Chain, header: BlockHeaderAPI, state_root: bytes, source: Source, max_bundles: int
    ) -> None:
        self._source = source
        self._vm = as_foretell_vm(chain.get_vm(with_fields(header, state_root=state_root)))
        self._header = self._vm.get_header()
        # One header is made of these in the end, and not one a transaction.
        self._gas_used = self._blob_gas_used = self._bloom = 0
        self._resolution = Resolution(source)
        self._max_bundles = max_bundles
        self._transactions: list[SignedTransactionAPI] = []
        self._receipts: list[ReceiptAPI] = []
        self._computations: list[ComputationAPI] = []
        self._needing: dict[bytes, InferenceJob] = {}
        self._invalid: dict[bytes, str] = {}

    def build(self, candidates: Iterable[SignedTransactionAPI]) -> BuiltBlock:
        """Execute the candidates in order and seal the block. Behind one left out, its sender's are too.

        The state of the block is in the chain's database then; the block itself is nowhere yet.
        """
        self._vm.begin_block()
        stopped: set[bytes] = set()
        with resolving(self._resolution):
            for transaction in candidates:
                if transaction.sender in stopped:
                    continue
                if not self._add(transaction):
                    stopped.add(transaction.sender)
                if self._header.gas_limit - self._gas_used < _LEAST_TRANSACTION_GAS:
                    break
        return BuiltBlock(self._seal(), tuple(self._computations), self._needing, self._invalid)

    def rebuild(self, transactions: Sequence[SignedTransactionAPI]) -> BuiltBlock:
        """Execute the transactions of a block that somebody built. None is left out, so none need be undone.

        Raises:
            InferenceNeeded: one asks for something else than the source has next.
            ValidationError: one may not be in this block, or does not fit into it.
        """
        self._vm.begin_block()
        with resolving(self._resolution):
            for index, transaction in enumerate(transactions):
                if not self._has_room(transaction):
                    raise ValidationError(f"transaction {index} does not fit: the block is full")
                self._vm.state.lock_changes()
                self._keep(transaction, self._vm.state.apply_transaction(transaction))
        return BuiltBlock(self._seal(), tuple(self._computations))

    def _add(self, transaction: SignedTransactionAPI) -> bool:
        if not self._has_room(transaction):
            return False
        state, used = self._vm.state, len(self._resolution.used)
        state.lock_changes()
        snapshot = state.snapshot()
        try:
            computation = state.apply_transaction(transaction)
            if sum(len(each.answer.bundles) for each in self._resolution.used) > self._max_bundles:
                raise _SidecarFull
        except (InferenceNeeded, ValidationError, _SidecarFull) as error:
            state.revert(snapshot)
            self._resolution.rewind(used)
            self._leave_out(transaction, error)
            return False
        state.commit(snapshot)
        self._keep(transaction, computation)
        return True

    def _has_room(self, transaction: SignedTransactionAPI) -> bool:
        blob_gas = self._blob_gas_used + get_total_blob_gas(transaction)
        return bool(
            transaction.gas <= self._header.gas_limit - self._gas_used and blob_gas <= MAX_BLOB_GAS_PER_BLOCK
        )

    def _leave_out(self, transaction: SignedTransactionAPI, error: Exception) -> None:
        if isinstance(error, InferenceNeeded):
            self._needing[transaction.hash] = error.job
        elif isinstance(error, ValidationError):
            self._invalid[transaction.hash] = str(error)

    def _keep(self, transaction: SignedTransactionAPI, computation: ComputationAPI) -> None:
        receipt = self._vm.receipt_after(self._gas_used, transaction, computation)
        self._gas_used = receipt.gas_used
        self._blob_gas_used += get_total_blob_gas(transaction)
        self._bloom |= receipt.bloom
        self._transactions.append(transaction)
        self._receipts.append(receipt)
        self._computations.append(computation)

    def _sidecar(self) -> Sidecar:
        answers = tuple(checked.answer for checked in self._resolution.used)
        requests = list(dict.fromkeys(answer.request_id for answer in answers))
        return Sidecar(answers, self._source.dissents(requests)[: self._max_bundles])

    def _seal(self) -> BlockRecord:
        sidecar = self._sidecar()
        header = with_fields(
            self._header, gas_used=self._gas_used, blob_gas_used=self._blob_gas_used, bloom=self._bloom
        )
        block = self._vm.seal(header, self._transactions, self._receipts, sidecar.root)
        return BlockRecord(
            block=block,
            receipts=tuple(self._receipts),
            sidecar=sidecar,
            logs=log_records(self._receipts),
            state_root=block.header.state_root,
        )


class _SidecarFull(Exception):
    """The block has as many bundles as it may."""
