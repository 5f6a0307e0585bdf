"""The engines in this process: py-evm as it is, the fork with and without its addresses, and revm."""

from collections.abc import Iterator
from typing import Final

import rlp
from eth.abc import ComputationAPI, StateAPI, VirtualMachineAPI
from eth.consensus import ConsensusContext
from eth.db.atomic import AtomicDB
from eth.db.chain import ChainDB
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth_typing import Address
from eth_utils import ValidationError, keccak

from foretell_evm.execution import gas_used
from foretell_evm.receipts import ADDRESS
from foretell_evm.vm import ForetellVM
from tests.conformance.cases import Case, Execution, Outcome

INVALID: Final = Execution(valid=False)
HASHES: Final = 256


def block_hash(number: int) -> bytes:
    """The hash of an earlier block, as an empty revm database has it."""
    return keccak(text=str(number))


class PyEvm:
    """A VM class of py-evm, or one made of it."""

    def __init__(self, name: str, vm_class: type[PragueVM]) -> None:
        self.name, self._vm_class = name, vm_class

    def run(self, case: Case) -> Outcome:
        """What becomes of the case."""
        return self.run_with_state(case)[0]

    def run_with_state(self, case: Case) -> tuple[Outcome, StateAPI]:
        """What becomes of the case, and the state afterwards."""
        vm = self._vm(case)
        executions = tuple(_executions(vm, case))
        return Outcome(executions, vm.state.make_state_root().hex()), vm.state

    def _vm(self, case: Case) -> VirtualMachineAPI:
        given, db = case.environment, AtomicDB()
        header = self._vm_class.create_genesis_header(
            difficulty=0,
            gas_limit=given.gas_limit,
            base_fee_per_gas=given.base_fee,
            timestamp=given.timestamp,
            coinbase=Address(bytes.fromhex(given.coinbase)),
            mix_hash=bytes.fromhex(given.prev_randao),
            excess_blob_gas=given.excess_blob_gas,
        ).copy(block_number=given.number)
        first = max(0, given.number - HASHES)
        hashes = [block_hash(number) for number in range(given.number - 1, first - 1, -1)]
        vm = self._vm_class(header, ChainDB(db), ChainContext(given.chain_id), ConsensusContext(db))
        context = self._vm_class.create_execution_context(header, hashes, ChainContext(given.chain_id))
        vm._state = self._vm_class.get_state_class()(db, context, header.state_root)
        fill(vm.state, case)
        return vm


def fill(state: StateAPI, case: Case) -> None:
    for text, account in case.accounts.items():
        address = Address(bytes.fromhex(text))
        state.set_balance(address, account.balance)
        state.set_nonce(address, account.nonce)
        state.set_code(address, bytes.fromhex(account.code))
        for slot, value in account.storage.items():
            state.set_storage(address, slot, value)
    state.persist()


def _executions(vm: VirtualMachineAPI, case: Case) -> Iterator[Execution]:
    builder, header = vm.get_transaction_builder(), vm.get_header()
    for raw in case.transactions:
        state = vm.state
        state.lock_changes()
        snapshot = state.snapshot()
        try:
            transaction = builder.decode(bytes.fromhex(raw))
            vm.validate_transaction_against_header(header, transaction)
            computation = state.apply_transaction(transaction)
        except (ValidationError, rlp.exceptions.RLPException):
            state.revert(snapshot)
            yield INVALID
            continue
        state.commit(snapshot)
        used = gas_used(transaction.gas, computation)
        header = header.copy(gas_used=header.gas_used + used)
        yield _execution(computation, used)


def _execution(computation: ComputationAPI, used: int) -> Execution:
    logs = computation.get_log_entries() if computation.is_success else ()
    return Execution(
        valid=True,
        success=computation.is_success,
        gas_used=used,
        logs=tuple(
            (address.hex(), tuple(f"{topic:064x}" for topic in topics), data.hex())
            for address, topics, data in logs
        ),
    )


def _without_our_addresses() -> type[PragueVM]:
    state = ForetellVM.get_state_class()
    precompiles = {
        to: each for to, each in state.computation_class.get_precompiles().items() if to != ADDRESS
    }
    computation = type("OffComputation", (state.computation_class,), {"_precompiles": precompiles})
    return type(
        "OffVM",
        (ForetellVM,),
        {"_state_class": type("OffState", (state,), {"computation_class": computation})},
    )


STOCK: Final = PyEvm("stock", PragueVM)
FORK_ON: Final = PyEvm("fork, addresses on", ForetellVM)
FORK_OFF: Final = PyEvm("fork, addresses off", _without_our_addresses())
