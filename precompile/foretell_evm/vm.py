"""The fork as a py-evm VM: everything but our addresses behaves as stock Prague does."""

from collections.abc import Sequence
from typing import Any

from eth._utils.db import get_parent_header
from eth.abc import (
    BlockAndMetaWitness,
    BlockAPI,
    BlockHeaderAPI,
    ComputationAPI,
    ReceiptAPI,
    ReceiptDecoderAPI,
    SignedTransactionAPI,
    VirtualMachineAPI,
    WithdrawalAPI,
)
from eth.chains.base import Chain
from eth.db.chain import ChainDB
from eth.exceptions import ReceiptNotFound
from eth.vm.forks.byzantium.constants import (
    EIP658_TRANSACTION_STATUS_CODE_FAILURE,
    EIP658_TRANSACTION_STATUS_CODE_SUCCESS,
)
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.blocks import PragueBlock

from foretell_evm.computation import ForetellComputation
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_evm.state import ForetellState
from foretell_evm.storage import tries


def with_fields(header: BlockHeaderAPI, **changes: Any) -> BlockHeaderAPI:
    """A header with other fields: its ``copy`` copies each field deeply, though none can change."""
    fields: dict[Any, Any] = header.as_dict()
    return type(header)(**(fields | changes))


class StateDB(ChainDB):
    """Holds states and headers: a block is kept whole."""

    sealing: tuple[bytes, Sequence[ReceiptAPI]] = (b"", ())
    """Root and receipts of the block that is sealed now: py-evm looks for deposits in them (EIP-6110)."""

    def get_receipts(
        self, header: BlockHeaderAPI, receipt_decoder: type[ReceiptDecoderAPI]
    ) -> tuple[ReceiptAPI, ...]:
        """The receipts of the block that is sealed now.

        Raises:
            ReceiptNotFound: the header is another block's.
        """
        del receipt_decoder
        root, receipts = self.sealing
        if header.receipt_root != root:
            raise ReceiptNotFound(f"block {header.block_number} is not the one that is sealed")
        return tuple(receipts)


class ForetellBlock(PragueBlock):
    """A block whose copies share its transactions, with the senders that are recovered already."""

    def copy(self, *_: Any, **changes: Any) -> "ForetellBlock":
        """The block with other fields."""
        return ForetellBlock(**{**self.as_dict(), **changes})


class ForetellVM(PragueVM):
    """Prague with the inference precompile."""

    block_class = ForetellBlock
    _state_class = ForetellState
    chaindb: StateDB

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

    def set_block_transactions_and_withdrawals(
        self,
        base_block: BlockAPI,
        new_header: BlockHeaderAPI,
        transactions: Sequence[SignedTransactionAPI],
        receipts: Sequence[ReceiptAPI],
        withdrawals: Sequence[WithdrawalAPI] | None = None,
    ) -> BlockAPI:
        """What the block holds, and the roots of it. There are no withdrawals here."""
        del withdrawals
        receipt_root = tries.root_of(receipt.encode() for receipt in receipts)
        header = with_fields(
            new_header,
            transaction_root=tries.root_of(transaction.encode() for transaction in transactions),
            receipt_root=receipt_root,
        )
        self.chaindb.sealing = (receipt_root, receipts)
        block: BlockAPI = base_block.copy(transactions=transactions, header=header)
        return block

    def mine_block(self, block: BlockAPI, *_: Any, **changes: Any) -> BlockAndMetaWitness:
        """Write the block's state and finish its header, which py-evm copies three times for it."""
        witness = self.state.persist()
        header = with_fields(block.header, state_root=self.state.state_root, **changes)
        sealed: BlockAPI = block.copy(header=header)
        self.validate_block(sealed)
        return BlockAndMetaWitness(sealed, witness)

    def validate_block(self, block: BlockAPI) -> None:
        """Check what building a block leaves open. Its roots are not: they were computed a moment ago.

        Raises:
            ValidationError: a rule about the parent, or about blobs, does not hold.
        """
        self.validate_header(block.header, get_parent_header(block.header, self.chaindb))
        self.validate_block_blobs(block)

    def begin_block(self) -> None:
        """Do what precedes the block's transactions: the system calls of EIP-4788 and EIP-2935."""
        block = self.get_block_class()(self.get_header(), transactions=[], uncles=[], withdrawals=[])
        self.block_preprocessing(block)
        self.state.lock_changes()


def as_foretell_vm(vm: VirtualMachineAPI) -> ForetellVM:
    """Narrow py-evm's type: its interface leaves out what happens around a block's transactions."""
    assert isinstance(vm, ForetellVM)
    return vm


def chain_class(chain_id: int, opengradient: OpenGradientConfig | None = None) -> type[Chain]:
    """A py-evm chain class of the fork, from block 0 on."""
    vm = ForetellVM if opengradient is None else _with_opengradient(opengradient)
    return Chain.configure(
        "ForetellEvmChain", vm_configuration=((0, vm),), chain_id=chain_id, chaindb_class=StateDB
    )


def _with_opengradient(config: OpenGradientConfig) -> type[ForetellVM]:
    from foretell_evm.opengradient.precompiles import opengradient_precompiles

    precompiles = {**ForetellComputation.get_precompiles(), **opengradient_precompiles(config)}
    computation = type("OpenGradientComputation", (ForetellComputation,), {"_precompiles": precompiles})
    state = type("OpenGradientState", (ForetellState,), {"computation_class": computation})
    return type("OpenGradientVM", (ForetellVM,), {"_state_class": state})
