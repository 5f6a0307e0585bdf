"""The fork as a py-evm VM: everything but our addresses behaves as stock Prague does."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

from eth.abc import (
    BlockAPI,
    BlockHeaderAPI,
    ChainDatabaseAPI,
    ComputationAPI,
    ReceiptAPI,
    SignedTransactionAPI,
    VirtualMachineAPI,
)
from eth.chains.base import Chain
from eth.vm.forks.byzantium.constants import (
    EIP658_TRANSACTION_STATUS_CODE_FAILURE,
    EIP658_TRANSACTION_STATUS_CODE_SUCCESS,
)
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.blocks import PragueBlock
from eth.vm.forks.prague.constants import (
    CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
)
from eth_typing import Address
from eth_utils import keccak

from foretell_evm.computation import ForetellComputation
from foretell_evm.ethereum_contracts import CONSOLIDATION_REQUEST_CODE, WITHDRAWAL_REQUEST_CODE
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_evm.state import ForetellState
from foretell_evm.storage import tries

_QUEUE_COUNTERS: Final = range(4)
"""Slots of excess, count, head and tail in the queues of EIP-7002 and EIP-7251."""
_QUEUE_CODE_HASHES: Final = {
    WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS: keccak(WITHDRAWAL_REQUEST_CODE),
    CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS: keccak(CONSOLIDATION_REQUEST_CODE),
}


def with_fields(header: BlockHeaderAPI, **changes: Any) -> BlockHeaderAPI:
    """A header with other fields: its ``copy`` copies each field deeply, though none can change."""
    fields: dict[Any, Any] = header.as_dict()
    return type(header)(**(fields | changes))


class ForetellBlock(PragueBlock):
    """A block whose copies share its transactions, with the senders that are recovered already."""

    def copy(self, *_: Any, **changes: Any) -> "ForetellBlock":
        """The block with other fields."""
        return ForetellBlock(**{**self.as_dict(), **changes})


class _Draft(ForetellBlock):
    """A block that is being sealed: py-evm looks for deposits (EIP-6110) in receipts that nobody stored."""

    receipts: Sequence[ReceiptAPI] = ()

    def get_receipts(self, chaindb: ChainDatabaseAPI) -> tuple[ReceiptAPI, ...]:
        """The receipts of its transactions."""
        del chaindb
        return tuple(self.receipts)


class ForetellVM(PragueVM):
    """Prague with the inference precompile."""

    block_class = ForetellBlock
    _state_class = ForetellState

    @classmethod
    def validate_gas(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        """Nothing: importers compare limit and base fee themselves, and a development chain may depart."""

    def receipt_after(
        self, gas_used: int, transaction: SignedTransactionAPI, computation: ComputationAPI
    ) -> ReceiptAPI:
        """The receipt of a transaction in whose block those before it used so much gas."""
        failed = computation.is_error
        status = EIP658_TRANSACTION_STATUS_CODE_FAILURE if failed else EIP658_TRANSACTION_STATUS_CODE_SUCCESS
        gas = gas_used + self.finalize_gas_used(transaction, computation)
        return transaction.make_receipt(status, gas, computation.get_log_entries())

    def seal(
        self,
        header: BlockHeaderAPI,
        transactions: Sequence[SignedTransactionAPI],
        receipts: Sequence[ReceiptAPI],
        extra_data: bytes,
    ) -> BlockAPI:
        """The block of these transactions, which were executed; its state is in the database then.

        py-evm does the same in steps that each copy the block, and compares what is left with the parent:
        here who makes a header derives it from the parent, and importers compare the two themselves.
        """
        draft = _Draft(header, transactions=transactions, uncles=[], withdrawals=[])
        draft.receipts = receipts
        self._collect_requests(draft)
        self._assign_block_rewards(draft)
        self.state.persist()
        sealed = with_fields(
            header,
            extra_data=extra_data,
            transaction_root=tries.root_of(transaction.encode() for transaction in transactions),
            receipt_root=tries.root_of(receipt.encode() for receipt in receipts),
            requests_hash=_requests_hash(draft.block_requests),
            state_root=self.state.state_root,
        )
        block: BlockAPI = draft.copy(header=sealed)
        return block

    def _collect_requests(self, block: BlockAPI) -> None:
        """Let the block say what it asks of the consensus layer (EIP-7685), in the order of their types."""
        self.process_deposit_request_data(block)
        if not self._is_idle(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS):
            self.process_withdrawal_request_data(block)
        if not self._is_idle(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS):
            self.process_consolidation_request_data(block)

    def _is_idle(self, queue: Address) -> bool:
        """Whether calling a queue of requests would give nothing and leave all as it is: it mostly would.

        So it is with the EIPs' own code where excess, count, head and tail are zero, and this is seen in a
        tenth of the time that the call takes.
        """
        if self.state.get_code_hash(queue) != _QUEUE_CODE_HASHES[queue]:
            return False
        return not any(self.state.get_storage(queue, slot) for slot in _QUEUE_COUNTERS)

    def begin_block(self) -> None:
        """Do what precedes the block's transactions: the system calls of EIP-4788 and EIP-2935."""
        block = self.get_block_class()(self.get_header(), transactions=[], uncles=[], withdrawals=[])
        self.block_preprocessing(block)
        self.state.lock_changes()


def _requests_hash(requests: Iterable[bytes]) -> bytes:
    """As EIP-7685 has it; requests that are a type alone do not count."""
    return sha256(b"".join(sha256(each).digest() for each in requests if len(each) > 1)).digest()


def as_foretell_vm(vm: VirtualMachineAPI) -> ForetellVM:
    """Narrow py-evm's type: its interface leaves out what happens around a block's transactions."""
    assert isinstance(vm, ForetellVM)
    return vm


def chain_class(chain_id: int, opengradient: OpenGradientConfig | None = None) -> type[Chain]:
    """A py-evm chain class of the fork, from block 0 on."""
    vm = ForetellVM if opengradient is None else _with_opengradient(opengradient)
    return Chain.configure("ForetellEvmChain", vm_configuration=((0, vm),), chain_id=chain_id)


def _with_opengradient(config: OpenGradientConfig) -> type[ForetellVM]:
    from foretell_evm.opengradient.precompiles import opengradient_precompiles

    precompiles = {**ForetellComputation.get_precompiles(), **opengradient_precompiles(config)}
    computation = type("OpenGradientComputation", (ForetellComputation,), {"_precompiles": precompiles})
    state = type("OpenGradientState", (ForetellState,), {"computation_class": computation})
    return type("OpenGradientVM", (ForetellVM,), {"_state_class": state})
