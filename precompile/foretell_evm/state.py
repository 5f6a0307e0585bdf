"""Prague's state with our computation."""

from typing import Any, cast

from eth._utils.address import generate_contract_address
from eth.abc import ComputationAPI, MessageAPI, MetaWitnessAPI, SignedTransactionAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.vm.forks.cancun.constants import BLOB_TX_TYPE
from eth.vm.forks.cancun.transactions import BlobTransaction
from eth.vm.forks.prague.state import PragueState, PragueTransactionExecutor
from eth.vm.forks.shanghai.constants import MAX_INITCODE_SIZE
from eth.vm.message import Message
from eth_typing import Address
from eth_utils import ValidationError, get_extended_debug_logger, keccak

from foretell_evm.account_db import SharedAccountDB
from foretell_evm.computation import ForetellComputation
from foretell_evm.resolution import current


class ForetellTransactionExecutor(PragueTransactionExecutor):
    """Counts the inferences of each transaction from zero."""

    def __call__(self, transaction: SignedTransactionAPI) -> ComputationAPI:
        current().begin_transaction()
        return super().__call__(transaction)

    def build_evm_message(self, transaction: SignedTransactionAPI) -> MessageAPI:
        """py-evm's message and its effects, without the text for a log that py-evm makes whoever reads it."""
        state, sender = self.vm_state, transaction.sender
        nonce = state.get_nonce(sender)
        fee = transaction.gas * state.get_gas_price(transaction)
        if transaction.type_id == BLOB_TX_TYPE:
            fee += self.calc_data_fee(cast(BlobTransaction, transaction))
        state.delta_balance(sender, -fee)
        state.set_nonce(sender, nonce + 1)
        # Before the code is read: authorizations (EIP-7702) change it.
        refund = self.calc_message_refund(transaction)
        is_create = transaction.to == CREATE_CONTRACT_ADDRESS
        code, delegated_to = (
            (transaction.data, None) if is_create else self.get_code_at_address(transaction.to)
        )
        # py-evm's type leaves out that calls create nothing.
        created = cast(Address, generate_contract_address(sender, nonce) if is_create else None)
        return Message(
            gas=transaction.gas - transaction.intrinsic_gas,
            to=transaction.to,
            sender=sender,
            value=transaction.value,
            data=b"" if is_create else transaction.data,
            code=code,
            create_address=created,
            refund=refund,
            is_delegation=delegated_to is not None,
        )


class ForetellState(PragueState):
    """State of the fork."""

    account_db_class = SharedAccountDB
    computation_class = ForetellComputation
    transaction_executor_class = ForetellTransactionExecutor
    logger = get_extended_debug_logger("eth.vm.state.ForetellState")  # py-evm looks it up at each use

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
