"""Prague's state with our computation."""

from typing import Any

from eth.abc import ComputationAPI, MetaWitnessAPI, SignedTransactionAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.vm.forks.prague.state import PragueState, PragueTransactionExecutor
from eth.vm.forks.shanghai.constants import MAX_INITCODE_SIZE
from eth_typing import Address
from eth_utils import ValidationError, keccak

from foretell_evm.account_db import SharedAccountDB
from foretell_evm.computation import ForetellComputation
from foretell_evm.resolution import current


class ForetellTransactionExecutor(PragueTransactionExecutor):
    """Counts the inferences of each transaction from zero."""

    def __call__(self, transaction: SignedTransactionAPI) -> ComputationAPI:
        current().begin_transaction()
        return super().__call__(transaction)


class ForetellState(PragueState):
    """State of the fork."""

    account_db_class = SharedAccountDB
    computation_class = ForetellComputation
    transaction_executor_class = ForetellTransactionExecutor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._written_slots: set[int] = set()

    def set_system_contracts(self) -> None:
        """Nothing: py-evm would read two accounts for each new state, and write the code that they have."""

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        self._written_slots.add(slot)
        super().set_storage(address, slot, value)

    def persist(self) -> MetaWitnessAPI:
        """Write the state, and what its keys are hashes of: a trie does not give them back."""
        touched = super().persist()
        keys = [slot.to_bytes(32, "big") for slot in self._written_slots]
        for key in (*touched.accounts_queried, *keys):
            self._db[keccak(key)] = bytes(key)
        return touched

    def validate_transaction(self, transaction: SignedTransactionAPI) -> None:
        """Whether a block of this state may hold the transaction.

        Raises:
            ValidationError: it may not. Too long an init code is one of the reasons (EIP-3860), which py-evm
                finds only when it runs it, by an error of the EVM that ends the whole block.
        """
        super().validate_transaction(transaction)
        size = len(transaction.data)
        if transaction.to == CREATE_CONTRACT_ADDRESS and size > MAX_INITCODE_SIZE:
            raise ValidationError(f"max initcode size exceeded: {size}, at most {MAX_INITCODE_SIZE}")
