"""``eth_createAccessList``: which addresses and slots a message touches (EIP-2930)."""

from dataclasses import replace
from typing import Any, Final

from eth_utils import to_checksum_address

from foretell_evm.blocks import BlockRecord
from foretell_evm.chain import ForetellChain
from foretell_evm.execution import AccessList, Call, gas_used
from foretell_evm.failures import describe
from foretell_evm.rpc.codec import Json, quantity, word
from foretell_evm.rpc.messages import parse_call
from foretell_evm.rpc.selectors import require_block
from foretell_evm.tracing import Traced, Watch

_ROUNDS: Final = 32
"""A list changes the gas that is left, and so what is touched; geth too repeats until nothing changes."""


def create_access_list(chain: ForetellChain, message: Any, block: Any = "latest") -> Json:
    """The list with which the message touches nothing outside it, and the gas that it then uses."""
    call, record = parse_call(chain, message), require_block(chain, block)
    traced, found = touched(chain, call, record)
    for _ in range(_ROUNDS):
        call = replace(call, access_list=found)
        traced, found = touched(chain, call, record)
        if found == call.access_list:
            break
    result: Json = {
        "accessList": [
            {"address": to_checksum_address(address), "storageKeys": [word(slot) for slot in slots]}
            for address, slots in call.access_list
        ],
        "gasUsed": quantity(gas_used(call.gas, traced.computation)),
    }
    if traced.computation.is_error:
        result["error"] = describe(traced.computation.error)
    return result


def touched(chain: ForetellChain, call: Call, record: BlockRecord) -> tuple[Traced, AccessList]:
    """A message, run after a block, and the addresses and slots that it touches and that are not free."""
    watches: list[Watch] = []

    def watch() -> Watch:
        watches.append(Watch())
        return watches[-1]

    traced = chain.calls.traced(call, record, chain.tracer, watch)
    coinbase = traced.computation.state.coinbase  # warm from the start (EIP-3651)
    free = {call.sender, traced.computation.msg.storage_address, coinbase, *chain.tracer.precompiles}
    touched = sorted(watches[-1].touched.items())
    return traced, tuple(
        (address, tuple(sorted(slots))) for address, slots in touched if slots or address not in free
    )
