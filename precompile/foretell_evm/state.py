"""Prague's state with our computation."""

from eth.abc import ComputationAPI, SignedTransactionAPI
from eth.vm.forks.prague.state import PragueState, PragueTransactionExecutor

from foretell_evm.computation import ForetellComputation
from foretell_evm.resolution import current


class ForetellTransactionExecutor(PragueTransactionExecutor):
    """Counts the inferences of each transaction from zero."""

    def __call__(self, transaction: SignedTransactionAPI) -> ComputationAPI:
        current().begin_transaction()
        return super().__call__(transaction)


class ForetellState(PragueState):
    """State of the fork."""

    computation_class = ForetellComputation
    transaction_executor_class = ForetellTransactionExecutor
