"""Stock py-evm with its known divergences from the specification mended, each by itself.

What this engine and EELS do not agree on is something that nobody knew. What it and stock py-evm do not agree
on is one of the divergences that docs/conformance.md lists. The fork is as stock py-evm is: it mends nothing.
"""

from typing import Any, Final

from eth.abc import ComputationAPI, SignedTransactionAPI
from eth.exceptions import OutOfGas
from eth.vm import opcode_values as op
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState, PragueTransactionExecutor
from eth.vm.forks.shanghai.constants import MAX_INITCODE_SIZE
from eth_utils import ValidationError

from tests.conformance.engines import PyEvm


def _refusing_large_init_code(opcode: Any) -> Any:
    """EIP-3860: creation code over the limit ends the frame, also where there is no money to endow."""

    class Create(type(opcode)):
        def get_stack_data(self, computation: ComputationAPI) -> Any:
            data = super().get_stack_data(computation)
            if data.memory_length > MAX_INITCODE_SIZE:
                raise OutOfGas("creation code over the limit of EIP-3860")
            return data

    return Create()


class MendedComputation(PragueComputation):
    """Prague's computation."""

    opcodes = {  # noqa: RUF012 - py-evm declares it on instances
        **PragueComputation.opcodes,
        **{
            code: _refusing_large_init_code(PragueComputation.opcodes[code])
            for code in (op.CREATE, op.CREATE2)
        },
    }


class MendedState(PragueState):
    """Prague's state."""

    computation_class = MendedComputation

    def validate_transaction(self, transaction: SignedTransactionAPI) -> None:
        """What py-evm checks, and what it leaves out."""
        super().validate_transaction(transaction)
        if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
            raise ValidationError("EIP-1559: a tip over the greatest fee")
        if transaction.gas < PragueTransactionExecutor.calc_data_floor_gas(transaction, 0, 0):
            raise ValidationError("EIP-7623: a gas limit below the floor of the calldata")
        if transaction.type_id is None and transaction.chain_id not in (
            None,
            self.execution_context.chain_id,
        ):
            raise ValidationError("EIP-155: another chain's transaction")


class MendedVM(PragueVM):
    """Prague's VM."""

    _state_class = MendedState


MENDED: Final = PyEvm("py-evm, mended", MendedVM)
