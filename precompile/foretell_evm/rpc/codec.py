"""JSON-RPC values: quantities, data, flags in and out, as the Ethereum execution API writes them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from eth_typing import Address
from eth_utils import to_checksum_address

from foretell_evm.errors import RpcError

INVALID_PARAMS: Final = -32602
Json = dict[str, Any]


def quantity(value: int) -> str:
    """An integer as the API writes it."""
    return hex(value)


def data(value: bytes) -> str:
    """Bytes as the API writes them."""
    return "0x" + bytes(value).hex()


@lru_cache(4_096)  # a hash each time, of addresses that come again and again
def checksummed(address: bytes) -> str:
    """An address with its checksum (EIP-55)."""
    return to_checksum_address(address)


def word(value: int) -> str:
    """An integer as 32 bytes."""
    return f"0x{value:064x}"


def parse_quantity(value: Any, name: str = "quantity") -> int:
    """Read a quantity; plain JSON numbers and decimal strings are taken too.

    Raises:
        RpcError: it is none, negative, or no EVM word holds it.
    """
    try:
        number = value if isinstance(value, int) else int(value, 16 if str(value).startswith("0x") else 10)
    except (TypeError, ValueError):
        raise RpcError(INVALID_PARAMS, f"{name}: not a quantity: {value!r}") from None
    if isinstance(value, bool) or number < 0:
        raise RpcError(INVALID_PARAMS, f"{name}: not a quantity: {value!r}")
    if number >= 2**256:
        raise RpcError(INVALID_PARAMS, f"{name}: too large: {number.bit_length()} bits")
    return number


def parse_data(value: Any, name: str = "data", size: int | None = None) -> bytes:
    """Read hex data, of ``size`` bytes where that is given.

    Raises:
        RpcError: it is none, or of another size.
    """
    if isinstance(value, bytes):
        read = bytes(value)
    else:
        try:
            if not value.startswith("0x"):
                raise ValueError
            read = bytes.fromhex(value[2:])
        except (AttributeError, ValueError):
            raise RpcError(INVALID_PARAMS, f"{name}: not 0x-prefixed hex data: {value!r}") from None
    if size is not None and len(read) != size:
        raise RpcError(INVALID_PARAMS, f"{name}: {size} bytes expected, not {len(read)}")
    return read


def parse_address(value: Any, name: str = "address") -> Address:
    """Read an address.

    Raises:
        RpcError: it is none.
    """
    return Address(parse_data(value, name, 20))


def address_or_none(value: bytes) -> str | None:
    """A checksummed address; ``None`` for the empty one of a contract creation."""
    return checksummed(value) if value else None


def parse_fields(value: Any, name: str) -> Mapping[str, Any]:
    """Read an object.

    Raises:
        RpcError: it is none.
    """
    if not isinstance(value, Mapping):
        raise RpcError(INVALID_PARAMS, f"{name}: an object expected, not {value!r}")
    return value


def parse_list(value: Any, name: str) -> Sequence[Any]:
    """Read an array.

    Raises:
        RpcError: it is none.
    """
    if not isinstance(value, list | tuple):
        raise RpcError(INVALID_PARAMS, f"{name}: an array expected, not {value!r}")
    return value


def parse_flag(value: Any, name: str) -> bool:
    """Read ``true`` or ``false``; ``null`` is ``false``, and a string such as ``"false"`` is neither.

    Raises:
        RpcError: it is something else.
    """
    if value is None:
        return False
    if not isinstance(value, bool):
        raise RpcError(INVALID_PARAMS, f"{name}: true or false expected, not {value!r}")
    return value
