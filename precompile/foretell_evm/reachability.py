"""Whether a transaction can come to an inference at all: most cannot, and need not be run to know it.

Only code that holds a calling instruction gets to another address. Where instructions begin is fixed (the EVM
jumps to none in the data of a PUSH), so one pass over the bytes finds every one that can ever run. Constants
behind the code may look like a call; then the answer errs towards yes.
"""

import re
from typing import Final

from eth.abc import SignedTransactionAPI, StateAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.constants import DELEGATION_DESIGNATION_PREFIX, SET_CODE_TRANSACTION_TYPE

# CREATE, CALL, CALLCODE, DELEGATECALL, CREATE2, STATICCALL
_CALLING: Final = rb"\xf0\xf1\xf2\xf4\xf5\xfa"
_PUSHES: Final = rb"|".join(re.escape(bytes((0x5F + size,))) + b".{%d}" % size for size in range(1, 33))
_HARMLESS: Final = re.compile(rb"(?:[^\x60-\x7f" + _CALLING + rb"]++|" + _PUSHES + rb")*+", re.DOTALL)
_FIRST_PUSH, _LAST_PUSH = 0x60, 0x7F


def may_infer(state: StateAPI, transaction: SignedTransactionAPI) -> bool:
    """Whether the transaction may call a precompile of the fork's own in this state, or in one like it.

    Another transaction before it may still put code where now is none: whoever runs it asks again.
    """
    if transaction.type_id == SET_CODE_TRANSACTION_TYPE:
        return True
    if transaction.to == CREATE_CONTRACT_ADDRESS:
        return calls(transaction.data)
    precompiles = state.computation_class.get_precompiles()
    if transaction.to in precompiles and transaction.to not in PragueComputation.get_precompiles():
        return True
    code = state.get_code(transaction.to)
    return code.startswith(DELEGATION_DESIGNATION_PREFIX) or calls(code)


def calls(code: bytes) -> bool:
    """Whether code holds an instruction by which another address's code may run."""
    match = _HARMLESS.match(code)
    end = match.end() if match else 0
    # A PUSH that the end of the code cuts short is the last instruction.
    return end < len(code) and not _FIRST_PUSH <= code[end] <= _LAST_PUSH
