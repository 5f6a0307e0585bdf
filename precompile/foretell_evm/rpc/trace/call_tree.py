"""geth's ``callTracer``: the tree of calls of one execution."""

from typing import Any

from eth.abc import ComputationAPI
from eth.exceptions import Revert
from eth_utils import to_checksum_address

from foretell_evm.execution import revert_message
from foretell_evm.failures import describe
from foretell_evm.rpc.codec import Json, data, quantity, word
from foretell_evm.tracing import Destruction


def call_tree(
    computation: Any, *, only_top: bool = False, with_logs: bool = False, kind: str | None = None
) -> Json:
    """The call and all calls inside it, with the gas of the execution alone (no intrinsic gas).

    Args:
        computation: what has run.
        only_top: leave the calls inside out.
        with_logs: each call with its logs; those of a failed call are gone with it.
        kind: the instruction behind the call; ``None`` for the transaction itself.
    """
    message: Any = computation.msg
    tree: Json = {
        "type": kind or ("CREATE" if message.is_create else "CALL"),
        "from": to_checksum_address(caller_of(computation, kind)),
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
    if not only_top:
        pairs = zip(computation.children, computation.kinds_of_children, strict=True)
        calls = [call_tree(child, with_logs=with_logs, kind=each) for child, each in pairs]
        calls += [] if computation.destruction is None else [_destruction(computation.destruction)]
        tree |= {"calls": calls} if calls else {}
    return tree


def caller_of(computation: Any, kind: str | None) -> bytes:
    """Who makes a call: a delegated one has its caller's sender, and works on its caller's storage."""
    message = computation.msg
    return bytes(message.storage_address if kind == "DELEGATECALL" else message.sender)


def _destruction(destroyed: Destruction) -> Json:
    return {
        "type": "SELFDESTRUCT",
        "from": to_checksum_address(destroyed.account),
        "to": to_checksum_address(destroyed.heir),
        "value": quantity(destroyed.balance),
        "gas": quantity(0),
        "gasUsed": quantity(0),
        "input": "0x",
    }


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


def _add_error(tree: Json, computation: ComputationAPI) -> None:
    tree["error"] = describe(computation.error)
    if isinstance(computation.error, Revert):
        reason = (
            revert_message(bytes(computation.output)).removeprefix("execution reverted").removeprefix(": ")
        )
        if reason:
            tree["revertReason"] = reason
