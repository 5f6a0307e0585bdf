"""What the precompiles have in common: gas first, no foreign frame, no ether, a reason for each refusal."""

from collections.abc import Callable, Mapping
from typing import Final

from eth.abc import ComputationAPI
from eth.exceptions import Revert
from eth_typing import Address

from foretell_spec.errors import CalldataError
from foretell_spec.reasons import Reason, revert_data

Precompile = Callable[[ComputationAPI], ComputationAPI]
Gas = Callable[[bytes, bool], int]
"""Gas of a call by its calldata, and by whether it is static; the work that it pays for comes behind it."""

Functions = Mapping[bytes, Callable[[ComputationAPI, bytes], bytes]]
"""By selector, what computes the return data of a call from its calldata."""

LOG_BASE: Final = 750
LOG_BYTE: Final = 8


class Refusal(Exception):
    """The call reverts with ``InferenceError(reason)``."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


def precompile(address: Address, name: str, gas: Gas, functions: Functions) -> Precompile:
    """A precompile at ``address`` with these functions."""

    def run(computation: ComputationAPI) -> ComputationAPI:
        data = bytes(computation.msg.data)
        computation.consume_gas(gas(data, computation.msg.is_static), reason=name)
        try:
            computation.output = _answer(computation, address, functions, data)
        except Refusal as refusal:
            # Revert's own argument is not return data; py-evm takes that from the computation.
            computation.output = revert_data(refusal.reason)
            raise Revert(refusal.reason.name) from None
        return computation

    return run


def _answer(computation: ComputationAPI, address: Address, functions: Functions, data: bytes) -> bytes:
    message = computation.msg
    if message.storage_address != address or message.code_address != address:
        raise Refusal(Reason.DELEGATED_CALL)
    if message.value:
        raise Refusal(Reason.NOT_PAYABLE)
    function = functions.get(data[:4])
    if function is None:
        raise Refusal(Reason.UNKNOWN_FUNCTION)
    try:
        return function(computation, data)
    except CalldataError:
        raise Refusal(Reason.BAD_CALLDATA) from None


def log_event(computation: ComputationAPI, address: Address, topic: bytes, event: bytes) -> None:
    """Emit an event without indexed fields, paid as LOG1 is; a static call emits none."""
    if computation.msg.is_static:
        return
    computation.consume_gas(LOG_BASE + LOG_BYTE * len(event), reason="event")
    computation.add_log_entry(address, (int.from_bytes(topic, "big"),), event)
