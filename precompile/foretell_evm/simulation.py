"""Blocks of unsigned messages on top of a block, on states that are thrown away (``eth_simulateV1``)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from eth.abc import BlockHeaderAPI, ComputationAPI, ReceiptAPI, SignedTransactionAPI, StateAPI
from eth.chains.base import Chain
from eth.db.atomic import AtomicDB
from eth.db.batch import BatchDB
from eth_typing import Address
from rlp import encode as rlp_encode

from foretell_evm.blocks import BlockRecord, log_records, next_header
from foretell_evm.core import ChainCore
from foretell_evm.errors import RpcError
from foretell_evm.execution import Call, least_gas, unsigned
from foretell_evm.impersonation import ImpersonatedTransaction
from foretell_evm.overrides import Overrides
from foretell_evm.resolution import Resolution, Source, resolving
from foretell_evm.state import ForetellState
from foretell_evm.transfers import TransferComputation
from foretell_evm.vm import ForetellVM, as_foretell_vm, with_fields
from foretell_spec.sidecar import Sidecar

MAX_BLOCKS: Final = 256
MAX_GAS: Final = 50_000_000
"""Of all messages of a simulation."""
NONCE_TOO_LOW, NONCE_TOO_HIGH, FEE_TOO_LOW, GAS_TOO_LOW, NO_FUNDS, BLOCK_FULL = range(-38010, -38016, -1)
BLOCK_ORDER, TIME_ORDER = -38020, -38021
TOO_MANY_BLOCKS: Final = -38026
"""JSON-RPC codes of the execution API."""


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """A message, and what only a transaction has. ``gas`` and ``nonce`` of ``None``: what is left, the next.

    Fees in wei; they are paid where the simulation validates.
    """

    call: Call
    gas: int | None = None
    nonce: int | None = None
    max_fee: int = 0
    tip: int = 0


@dataclass(frozen=True, slots=True)
class BlockCalls:
    """One block of a simulation: what it pretends, and its messages in order."""

    overrides: Overrides
    calls: Sequence[SimulatedCall]


@dataclass(frozen=True, slots=True)
class SimulatedBlock:
    """A block that was not made, and how its messages ended."""

    record: BlockRecord
    computations: tuple[ComputationAPI, ...]


class Simulator:
    """Simulates on top of blocks of one chain."""

    def __init__(self, core: ChainCore) -> None:
        self._core = core
        stock = core.state().computation_class.get_precompiles()
        computation = type("SimulatedComputation", (TransferComputation,), {"_precompiles": stock})
        state = type("SimulatedState", (ForetellState,), {"computation_class": computation})
        vm = type("SimulatedVM", (ForetellVM,), {"_state_class": state})
        self._chain_class = type(core.chain).configure("SimulatedChain", vm_configuration=((0, vm),))

    def run(
        self, blocks: Sequence[BlockCalls], base: BlockRecord, source: Source, *, validates: bool
    ) -> list[SimulatedBlock]:
        """The blocks on top of ``base``, and empty ones where their numbers leave room.

        Args:
            blocks: in order.
            base: the block below them.
            source: answers of models, as they are worth after ``base``.
            validates: messages need the right nonce, and pay for gas.

        Raises:
            RpcError: a block or a message is not possible there.
            InferenceNeeded: an answer is not there.
            ValidationError: a message cannot be run.
        """
        chain = self._chain_class(AtomicDB(BatchDB(self._core.chain.chaindb.db)))
        run, found, parent = _Run(chain, source, validates), [], base
        for block in _without_gaps(blocks, base.number):
            header = next_header(parent.header, parent.header.timestamp + 1, self._core.config.coinbase)
            found.append(run.block(header, parent, block))
            parent = found[-1].record
        return found


def _without_gaps(blocks: Sequence[BlockCalls], number: int) -> list[BlockCalls]:
    """The blocks, with empty ones before those whose number is not the next."""
    filled: list[BlockCalls] = []
    for block in blocks:
        wanted = block.overrides.block.block_number
        empty = 0 if wanted is None else wanted - (number + len(filled) + 1)
        if empty < 0:
            raise RpcError(
                BLOCK_ORDER, f"block numbers must be in order: {wanted} is not after the one before"
            )
        if len(filled) + empty >= MAX_BLOCKS:
            raise RpcError(TOO_MANY_BLOCKS, f"too many blocks: a simulation has at most {MAX_BLOCKS}")
        filled += [BlockCalls(Overrides(), ())] * empty + [block]
    return filled


class _Run:
    """One simulation."""

    def __init__(self, chain: Chain, source: Source, validates: bool) -> None:
        self._chain, self._resolution, self._validates = chain, Resolution(source), validates
        self._gas = MAX_GAS

    def block(self, header: BlockHeaderAPI, parent: BlockRecord, block: BlockCalls) -> SimulatedBlock:
        """The next block."""
        header = block.overrides.block.apply(
            header if self._validates else with_fields(header, base_fee_per_gas=0)
        )
        if header.timestamp <= parent.header.timestamp:
            raise RpcError(
                TIME_ORDER,
                f"block timestamps must be in order: {header.timestamp}, not after {parent.header.timestamp}",
            )
        vm = as_foretell_vm(self._chain.get_vm(with_fields(header, state_root=parent.state_root)))
        vm.begin_block()
        block.overrides.apply(vm.state)
        simulated = _Block(vm, self._validates)
        with resolving(self._resolution):
            for call in block.calls:
                self._gas -= simulated.add(call, self._gas)
        sealed = simulated.seal()
        self._chain.chaindb.db[sealed.record.block.hash] = rlp_encode(sealed.record.header)  # for BLOCKHASH
        return sealed


class _Block:
    """A block that grows."""

    def __init__(self, vm: ForetellVM, validates: bool) -> None:
        self._vm, self._validates = vm, validates
        self._header = vm.get_header()
        self._transactions: list[SignedTransactionAPI] = []
        self._receipts: list[ReceiptAPI] = []
        self._computations: list[ComputationAPI] = []

    def add(self, simulated: SimulatedCall, allowance: int) -> int:
        """Run a message with at most so much gas; how much it used."""
        room = self._header.gas_limit - self._header.gas_used
        gas = min(room if simulated.gas is None else simulated.gas, allowance)
        if gas > room:
            raise RpcError(BLOCK_FULL, f"block gas limit reached: {gas} wanted, {room} left")
        state = self._vm.state
        nonce = state.get_nonce(simulated.call.sender)
        if self._validates:
            _require_nonce(simulated, nonce)
        transaction = self._transaction(replace(simulated, gas=gas, nonce=nonce))
        self._require_payable(state, transaction)
        state.lock_changes()
        computation = state.apply_transaction(transaction)
        receipt = self._vm.make_receipt(self._header, transaction, computation, state)
        used = int(receipt.gas_used - self._header.gas_used)
        self._header = with_fields(
            self._header, gas_used=receipt.gas_used, bloom=self._header.bloom | receipt.bloom
        )
        self._transactions.append(transaction)
        self._receipts.append(receipt)
        self._computations.append(computation)
        return used

    def _transaction(self, simulated: SimulatedCall) -> SignedTransactionAPI:
        fees = {"max_fee_per_gas": simulated.max_fee, "max_priority_fee_per_gas": simulated.tip}
        fields: dict[str, int] = {"gas": simulated.gas or 0, "nonce": simulated.nonce or 0}
        made = unsigned(self._vm.state, simulated.call, **fields, **(fees if self._validates else {}))
        return ImpersonatedTransaction.forge(simulated.call.sender, made)

    def _require_payable(self, state: StateAPI, transaction: Any) -> None:
        if transaction.gas < least_gas(transaction):
            raise RpcError(
                GAS_TOO_LOW, f"intrinsic gas too low: have {transaction.gas}, want {least_gas(transaction)}"
            )
        base_fee = self._header.base_fee_per_gas or 0
        if transaction.max_fee_per_gas < base_fee:
            raise RpcError(
                FEE_TOO_LOW,
                f"max fee per gas less than block base fee: {transaction.max_fee_per_gas} < {base_fee}",
            )
        cost = transaction.value + transaction.gas * transaction.max_fee_per_gas
        if state.get_balance(transaction.sender) < cost:
            raise RpcError(NO_FUNDS, f"insufficient funds for gas * price + value: want {cost}")

    def seal(self) -> SimulatedBlock:
        """The block, whose state the next one sees."""
        filled = self._vm.set_block_transactions_and_withdrawals(
            self._vm.get_block(), self._header, self._transactions, self._receipts
        )
        block = self._vm.mine_block(self._vm.block_postprocessing(filled)).block
        record = BlockRecord(
            block, tuple(self._receipts), Sidecar(), log_records(self._receipts), block.header.state_root
        )
        return SimulatedBlock(record, tuple(self._computations))


def _require_nonce(simulated: SimulatedCall, nonce: int) -> None:
    given = nonce if simulated.nonce is None else simulated.nonce
    if given < nonce:
        raise RpcError(NONCE_TOO_LOW, f"nonce too low: next is {nonce}, the message has {given}")
    if given > nonce:
        raise RpcError(NONCE_TOO_HIGH, f"nonce too high: next is {nonce}, the message has {given}")


def sender_of(blocks: Sequence[BlockCalls]) -> Address:
    """The first sender: the limits of the inference pool are counted on it."""
    return next((each.call.sender for block in blocks for each in block.calls), Address(bytes(20)))
