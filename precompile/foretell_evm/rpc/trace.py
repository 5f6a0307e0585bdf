"""``debug_traceTransaction`` with geth's callTracer, from the computation kept when the block was built."""

from typing import Any

from eth.abc import ComputationAPI
from eth.exceptions import Revert
from eth_utils import to_checksum_address

from foretell_evm.execution import revert_message
from foretell_evm.rpc.codec import Json, data, quantity


def call_tree(computation: ComputationAPI) -> Json:
    """The call and all calls inside it, with the gas of the execution alone (no intrinsic gas)."""
    message: Any = computation.msg
    tree: Json = {
        "type": _kind(message),
        "from": to_checksum_address(message.sender),
        "to": to_checksum_address(message.storage_address if message.is_create else message.code_address),
        "value": quantity(message.value),
        "gas": quantity(message.gas),
        "gasUsed": quantity(computation.get_gas_used()),
        "input": data(message.code if message.is_create else bytes(message.data)),
        "output": data(computation.output),
    }
    if computation.is_error:
        _add_error(tree, computation)
    if computation.children:
        tree["calls"] = [call_tree(child) for child in computation.children]
    return tree


def _kind(message: Any) -> str:
    if message.is_create:
        return "CREATE"
    if message.code_address != message.storage_address:
        return "DELEGATECALL" if not message.should_transfer_value else "CALLCODE"
    return "STATICCALL" if message.is_static else "CALL"


def _add_error(tree: Json, computation: ComputationAPI) -> None:
    if isinstance(computation.error, Revert):
        tree["error"] = "execution reverted"
        reason = (
            revert_message(bytes(computation.output)).removeprefix("execution reverted").removeprefix(": ")
        )
        if reason:
            tree["revertReason"] = reason
    else:
        tree["error"] = f"{type(computation.error).__name__}: {computation.error}"
