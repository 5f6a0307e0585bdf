"""Values of the official tests: hex with and without prefix, decimal text, plain numbers."""

from collections.abc import Mapping
from typing import Any

from tests.conformance.cases import Account


def number(value: Any, default: int = 0) -> int:
    """An integer, however it is written."""
    if value is None or isinstance(value, int):
        return default if value is None else value
    text = str(value).removeprefix("0x:bigint ")
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text or "0")


def octets(value: Any) -> bytes:
    """Bytes of hex text; of a number of nibbles that is odd, with a zero before them."""
    digits = str(value).removeprefix("0x")
    return bytes.fromhex("0" * (len(digits) % 2) + digits)


def accounts(value: Mapping[str, Any]) -> dict[str, Account]:
    """A test's accounts by address."""
    return {
        octets(address).hex(): Account(
            balance=number(each["balance"]),
            nonce=number(each["nonce"]),
            code=octets(each["code"]).hex(),
            storage={number(slot): number(word) for slot, word in each["storage"].items()},
        )
        for address, each in value.items()
    }
