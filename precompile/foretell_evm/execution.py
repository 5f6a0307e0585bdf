"""Running transactions and calls on throw-away states: nothing here changes the chain.

py-evm builds states lazily and flushes their journal only when told to, so a fresh state costs microseconds
and dropping it undoes everything.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from eth.abc import BlockHeaderAPI, ComputationAPI, SignedTransactionAPI, StateAPI
from eth.chains.base import Chain
from eth.exceptions import Revert
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague.state import PragueTransactionExecutor
from eth.vm.forks.prague.transactions import Authorization
from eth.vm.spoof import SpoofTransaction
from eth_abi import decode
from eth_abi.exceptions import DecodingError
from eth_typing import Address, BlockNumber
from eth_utils import ValidationError, keccak

from foretell_evm.blocks import BlockRecord
from foretell_evm.errors import RpcError
from foretell_evm.failures import describe
from foretell_evm.overrides import NO_OVERRIDES, Overrides
from foretell_evm.reachability import may_infer
from foretell_evm.resolution import CheckedAnswer, InferenceNeeded, Resolution, Source, resolving
from foretell_evm.vm import ForetellVM, as_foretell_vm, with_fields
from foretell_spec.operator import InferenceJob
from foretell_spec.reasons import EXPLANATIONS, reason_of

AccessList = tuple[tuple[Address, tuple[int, ...]], ...]
"""Addresses and their storage slots (EIP-2930)."""

GAS_STIPEND: Final = 2_300
_ERROR: Final = keccak(text="Error(string)")[:4]
_PANIC: Final = keccak(text="Panic(uint256)")[:4]


@dataclass(frozen=True, slots=True)
class Ready:
    """The transaction may be in the block, be its end a success or a revert; it used these answers."""

    used: tuple[CheckedAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """The transaction asks for an answer that is not there."""

    job: InferenceJob


@dataclass(frozen=True, slots=True)
class Invalid:
    """The transaction may not be in the block at all."""

    message: str


@dataclass(frozen=True, slots=True)
class Call:
    """An unsigned message, as ``eth_call`` takes it. An empty ``to`` creates a contract."""

    sender: Address
    to: bytes
    data: bytes
    value: int
    gas: int
    access_list: AccessList = ()
    authorizations: tuple[Authorization, ...] = ()
    blob_hashes: tuple[bytes, ...] = ()
    overrides: Overrides = NO_OVERRIDES


class Executor:
    """Makes throw-away states of one chain."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._context = ChainContext(chain.chain_id)
        self._vm_class: Any = chain.get_vm_class_for_block_number(BlockNumber(0))

    def vm_at(self, header: BlockHeaderAPI, state_root: bytes) -> ForetellVM:
        """A fresh VM in the block of ``header`` with the state ``state_root``."""
        return as_foretell_vm(self._chain.get_vm(with_fields(header, state_root=state_root)))

    def state_at(self, header: BlockHeaderAPI, state_root: bytes) -> StateAPI:
        """The state ``state_root`` with the block context of ``header``."""
        database = self._chain.chaindb
        ancestors: Any = self._vm_class.get_prev_hashes(header.parent_hash, database)
        context = self._vm_class.create_execution_context(header, ancestors, self._context)
        state: StateAPI = self._vm_class.get_state_class()(database.db, context, state_root)
        return state

    def state_for(self, header: BlockHeaderAPI, after: BlockRecord, overrides: Overrides) -> StateAPI:
        """The state for a message in the block of ``header``, as ``overrides`` pretend it to be.

        The message sees the state ``after`` a block: where that is this very block, what its transactions
        left; where that is its parent, what its first transaction would see.
        """
        header = message_header(header, overrides)
        is_later = header.block_number > after.number
        state = self._begun(header, after) if is_later else self.state_at(header, after.state_root)
        overrides.apply(state)
        return state

    def _begun(self, header: BlockHeaderAPI, parent: BlockRecord) -> StateAPI:
        """The state that the first transaction of a block sees."""
        vm = self.vm_at(header, parent.state_root)
        vm.begin_block()
        return vm.state

    def pre_execute(
        self, header: BlockHeaderAPI, after: BlockRecord, transaction: SignedTransactionAPI, source: Source
    ) -> Ready | Needs | Invalid:
        """What the transaction would do in the block of ``header``, after those of its sender before it.

        One that can ask for nothing is not run for it.
        """
        state = self.state_at(header, after.state_root)
        resolution = Resolution(source)
        try:
            self._chain.get_vm(header).validate_transaction_against_header(header, transaction)
            state.set_nonce(transaction.sender, transaction.nonce)
            state.validate_transaction(transaction)
            if may_infer(state, transaction):
                state = self._begun(header, after)
                state.set_nonce(transaction.sender, transaction.nonce)
                with resolving(resolution):
                    state.apply_transaction(transaction)
        except InferenceNeeded as needed:
            return Needs(needed.job)
        except ValidationError as error:
            return Invalid(str(error))
        return Ready(tuple(resolution.used))

    def call(self, header: BlockHeaderAPI, after: BlockRecord, call: Call, source: Source) -> ComputationAPI:
        """Run a message without paying for gas, on the state of :meth:`state_for`.

        Raises:
            InferenceNeeded: it asks for an answer that is not there.
            ValidationError: it cannot be run.
        """
        state = self.state_for(header, after, call.overrides)
        transaction = spoofed(state, call)
        with resolving(Resolution(source)):
            return state.apply_transaction(transaction)


def message_header(header: BlockHeaderAPI, overrides: Overrides) -> BlockHeaderAPI:
    """The block that a message runs in: gas is free in it."""
    return overrides.block.apply(_without_base_fee(header))


@lru_cache(16)  # asked for by every call, and mostly of the head
def _without_base_fee(header: BlockHeaderAPI) -> BlockHeaderAPI:
    return with_fields(header, base_fee_per_gas=0)


def gas_used(call_gas: int, computation: ComputationAPI) -> int:
    """Gas that the sender pays: refunds (EIP-3529) and the calldata floor (EIP-7623) included."""
    used = call_gas - computation.get_gas_remaining()
    refund = min(computation.get_gas_refund(), used // 5)
    return int(used - refund + computation.data_floor_gas)


def least_gas(transaction: SignedTransactionAPI) -> int:
    """The least gas limit that a transaction may have: calldata have a floor (EIP-7623).

    py-evm lets one with less run, and then takes more than its limit.
    """
    floor = PragueTransactionExecutor.calc_data_floor_gas(transaction, 0, 0)
    return int(max(transaction.intrinsic_gas, floor))


def require_success(computation: ComputationAPI) -> bytes:
    """The computation's output.

    Raises:
        RpcError: it failed; code 3 and the revert data for a revert, as geth and anvil answer.
    """
    if computation.is_success:
        return bytes(computation.output)
    if isinstance(computation.error, Revert):
        output = bytes(computation.output)
        raise RpcError(3, revert_message(output), "0x" + output.hex())
    raise RpcError(-32000, describe(computation.error))


def revert_message(output: bytes) -> str:
    """What a wallet shows for revert data: a reason string, a panic code or the precompile's reason."""
    reason = reason_of(output)
    if reason is not None:
        return f"execution reverted: InferenceError({reason.name}): {EXPLANATIONS[reason]}"
    try:
        if output[:4] == _ERROR:
            return f"execution reverted: {decode(['string'], output[4:])[0]}"
        if output[:4] == _PANIC:
            return f"execution reverted: panic 0x{decode(['uint256'], output[4:])[0]:02x}"
    except DecodingError:
        pass
    return "execution reverted"


def spoofed(state: StateAPI, call: Call) -> SignedTransactionAPI:
    """A message as a transaction that nobody signed.

    Raises:
        ValidationError: its gas does not cover what every transaction costs.
    """
    unsent: Any = SpoofTransaction(unsigned(state, call), from_=call.sender, y_parity=0, r=1, s=1)
    if call.gas < least_gas(unsent):
        raise ValidationError(f"intrinsic gas too low: have {call.gas}, want {least_gas(unsent)}")
    result: SignedTransactionAPI = unsent
    return result


def unsigned(state: StateAPI, call: Call, **changes: int) -> Any:
    """A message as a typed transaction: the sender's next nonce, no fees; ``changes`` are other fields."""
    builder: Any = ForetellVM.get_transaction_builder()
    fields: dict[str, Any] = {
        "chain_id": state.execution_context.chain_id,
        "nonce": state.get_nonce(call.sender),
        "max_priority_fee_per_gas": 0,
        "max_fee_per_gas": 0,
        "gas": call.gas,
        "to": call.to,
        "value": call.value,
        "data": call.data,
        "access_list": call.access_list,
        **changes,
    }
    if call.authorizations:
        return builder.new_unsigned_set_code_transaction(authorization_list=call.authorizations, **fields)
    if call.blob_hashes:
        fee: Any = state.blob_base_fee
        return builder.new_unsigned_blob_transaction(
            max_fee_per_blob_gas=fee, blob_versioned_hashes=call.blob_hashes, **fields
        )
    return builder.new_unsigned_dynamic_fee_transaction(**fields)
