"""The fork as a py-evm VM: everything but our addresses behaves as stock Prague does."""

from collections.abc import Mapping, Sequence
from typing import Any

from eth.abc import BlockAPI, BlockHeaderAPI, ReceiptAPI, ReceiptDecoderAPI, VirtualMachineAPI
from eth.chains.base import Chain
from eth.db.chain import ChainDB
from eth.exceptions import ReceiptNotFound
from eth.vm.forks.prague import PragueVM
from eth_typing import Hash32

from foretell_evm.computation import ForetellComputation
from foretell_evm.opengradient import inference as og_inference
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_evm.state import ForetellState


class StateDB(ChainDB):
    """Holds states and headers: a block is kept whole, so its tries are needed for their roots alone."""

    sealing: tuple[bytes, Sequence[ReceiptAPI]] = (b"", ())
    """Root and receipts of the block that is sealed now: py-evm looks for deposits in them (EIP-6110)."""

    def persist_trie_data_dict(self, trie_data_dict: Mapping[Hash32, bytes]) -> None:
        """Nothing."""

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


class ForetellVM(PragueVM):
    """Prague with the inference precompile."""

    _state_class = ForetellState
    chaindb: StateDB

    @classmethod
    def validate_gas(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        """Nothing: importers compare limit and base fee themselves, and a development chain may depart."""

    def set_block_transactions_and_withdrawals(self, *args: Any, **kwargs: Any) -> BlockAPI:
        """What the block holds, and the roots of it."""
        *_, receipts = args
        block: BlockAPI = super().set_block_transactions_and_withdrawals(*args, **kwargs)
        self.chaindb.sealing = (block.header.receipt_root, receipts)
        return block

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
    precompiles = {
        **ForetellComputation.get_precompiles(),
        og_inference.ADDRESS: og_inference.inference_precompile(config),
    }
    computation = type("OpenGradientComputation", (ForetellComputation,), {"_precompiles": precompiles})
    state = type("OpenGradientState", (ForetellState,), {"computation_class": computation})
    return type("OpenGradientVM", (ForetellVM,), {"_state_class": state})
