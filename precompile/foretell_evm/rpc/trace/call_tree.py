"""geth's ``callTracer``: the tree of calls of one execution."""

from typing import Any

from eth.abc import ComputationAPI
from eth.exceptions import Revert
from eth_utils import to_checksum_address

from foretell_evm.execution import revert_message
from foretell_evm.rpc.codec import Json, data, quantity, word


def call_tree(computation: ComputationAPI, *, only_top: bool = False, with_logs: bool = False) -> Json:
    """The call and all calls inside it, with the gas of the execution alone (no intrinsic gas).

    Args:
        computation: what has run.
        only_top: leave the calls inside out.
        with_logs: each call with its logs; those of a failed call are gone with it.
    """
    message: Any = computation.msg
    tree: Json = {
        "type": _kind(message),
        "from": to_checksum_address(message.sender),
        "to": to_checksum_address(message.storage_address if message.is_create else message.code_address),
        "value": quantity(message.value),
        "gas": quantity(message.gas),
        "gasUsed": quantity(computation.get_gas_used()),
        "input": data(message.code if message.is_create else bytes(message.data)),
    }
    if computation.output:
        tree["output"] = data(computation.output)
    if computation.is_error:
        _add_error(tree, computation)
    if with_logs and not computation.is_error:
        _add_logs(tree, computation)
    if computation.children and not only_top:
        tree["calls"] = [call_tree(child, with_logs=with_logs) for child in computation.children]
    return tree


def _add_logs(tree: Json, computation: Any) -> None:
    logs = [
        {
            "address": to_checksum_address(address),
            "topics": [word(topic) for topic in topics],
            "data": data(content),
            "index": quantity(index),
            "position": quantity(sum(before <= place for before in computation.logs_before_children)),
        }
        for place, (index, address, topics, content) in enumerate(computation._log_entries)
    ]
    if logs:
        tree["logs"] = logs


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
