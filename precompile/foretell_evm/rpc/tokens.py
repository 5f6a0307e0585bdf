"""Giving away tokens: ``anvil_dealERC20`` and ``anvil_setERC20Allowance``.

No token says where it keeps a balance. The slot is found by asking: of those that ``balanceOf`` reads, the
one that makes the token answer what was written into it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from eth_abi import encode
from eth_typing import Address
from eth_utils import keccak

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError, TransactionRejected
from foretell_evm.execution import Call
from foretell_evm.overrides import AccountOverride, Overrides
from foretell_evm.rpc.access_lists import touched
from foretell_evm.rpc.codec import parse_address, parse_quantity
from foretell_evm.rpc.messages import NOBODY

_NO_SLOT = (
    "the token keeps this in no slot of its own, or changes what it reads: set it with anvil_setStorageAt"
)


def set_balance(chain: ForetellChain, holder: Any, token: Any, amount: Any) -> None:
    """``anvil_dealERC20``: the holder's balance; the total supply stays what it was."""
    arguments = [parse_address(holder, "holder")]
    _set(chain, parse_address(token, "token"), "balanceOf(address)", arguments, amount)


def set_allowance(chain: ForetellChain, owner: Any, spender: Any, token: Any, amount: Any) -> None:
    """``anvil_setERC20Allowance``"""
    arguments = [parse_address(owner, "owner"), parse_address(spender, "spender")]
    _set(chain, parse_address(token, "token"), "allowance(address,address)", arguments, amount)


def _set(chain: ForetellChain, token: Address, view: str, arguments: list[Any], amount: Any) -> None:
    value = parse_quantity(amount, "amount")
    question = keccak(text=view)[:4] + encode(["address"] * len(arguments), arguments)
    call = Call(sender=NOBODY, to=token, data=question, value=0, gas=chain.gas_limit)
    with chain.lock:
        account, slot = _find_slot(chain, call, value)
        chain.set_state(_writing(account, slot, value))


def _find_slot(chain: ForetellChain, call: Call, value: int) -> tuple[Address, int]:
    _, reads = touched(chain, call, chain.head)
    for account, slots in reads:
        for slot in slots:
            override = AccountOverride(storage_diff={slot: value})
            if _answers(chain, replace(call, overrides=Overrides({account: override})), value):
                return account, slot
    raise RpcError(-32000, _NO_SLOT)


def _answers(chain: ForetellChain, call: Call, value: int) -> bool:
    try:
        computation = chain.calls.call(call)
    except TransactionRejected:
        return False
    return computation.is_success and bytes(computation.output) == value.to_bytes(32, "big")


def _writing(account: Address, slot: int, value: int) -> Callable[[Any], None]:
    return lambda state: state.set_storage(account, slot, value)
