"""The part of CBOR (RFC 8949) that attestation documents use, read strictly.

Integers, byte and text strings of definite length, arrays, maps and null, lengths in the shortest form.
A general decoder follows tags and any depth, and its answer to odd input changes between versions; a chain's
rule may not.
"""

from collections.abc import Sequence
from typing import Any, Final

MAX_DEPTH: Final = 4

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = range(6)
_OPEN: Final = 31
"""Instead of the length of an array or a map that ends with a break."""
_NULL: Final = b"\xf6"
_BREAK: Final = b"\xff"


def decode(data: bytes) -> Any:
    """The one item that ``data`` is.

    Raises:
        ValueError: it is none, or not in this form.
    """
    value, end = _item(data, 0, MAX_DEPTH)
    if end != len(data):
        raise ValueError("there is more than one item")
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if not depth:
        raise ValueError("nested too deeply")
    if data[at : at + 1] == _NULL:
        return None, at + 1
    kind, size, at = _head(data, at)
    if kind == _ARRAY:
        return _items(data, at, size, depth)
    if kind == _MAP:
        return _map(data, at, size, depth)
    if size is None:
        raise ValueError("a length that is not given")
    if kind in (_BYTES, _TEXT):
        return _string(data, at, size, kind)
    if kind in (_UNSIGNED, _NEGATIVE):
        return size if kind == _UNSIGNED else -1 - size, at
    raise ValueError("neither a number, a string, an array, a map nor null")


def _string(data: bytes, at: int, size: int, kind: int) -> tuple[bytes | str, int]:
    value = data[at : at + size]
    if len(value) != size:
        raise ValueError("cut short")
    return value.decode() if kind == _TEXT else value, at + size


def _map(data: bytes, at: int, size: int | None, depth: int) -> tuple[dict[Any, Any], int]:
    flat, at = _items(data, at, None if size is None else 2 * size, depth)
    if not all(isinstance(key, int | bytes | str) for key in flat[::2]):
        raise ValueError("a key that is no number or string")
    pairs = dict(zip(flat[::2], flat[1::2], strict=True))
    if 2 * len(pairs) != len(flat):
        raise ValueError("a key occurs twice")
    return pairs, at


def _items(data: bytes, at: int, count: int | None, depth: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    while len(items) != count:
        if count is None and data[at : at + 1] == _BREAK:
            return items, at + 1
        item, at = _item(data, at, depth - 1)
        items.append(item)
    return items, at


def _head(data: bytes, at: int) -> tuple[int, int | None, int]:
    """Major type, value or ``None`` for an open length, and where the content begins."""
    if at >= len(data):
        raise ValueError("cut short")
    kind, short = data[at] >> 5, data[at] & 31
    if short == _OPEN:
        return kind, None, at + 1
    if short < 24:
        return kind, short, at + 1
    if short > 27:
        raise ValueError("a length of no known form")
    width: int = 1 << (short - 24)
    value = int.from_bytes(data[at + 1 : at + 1 + width], "big")
    if at + 1 + width > len(data) or value < (24, 1 << 8, 1 << 16, 1 << 32)[short - 24]:
        raise ValueError("cut short, or not in the shortest form")
    return kind, value, at + 1 + width


def encode_array(items: Sequence[bytes | str]) -> bytes:
    """An array of strings."""
    return _encode_head(_ARRAY, len(items)) + b"".join(map(_encode_string, items))


def _encode_string(item: bytes | str) -> bytes:
    content = item.encode() if isinstance(item, str) else item
    return _encode_head(_TEXT if isinstance(item, str) else _BYTES, len(content)) + content


def _encode_head(kind: int, size: int) -> bytes:
    if size < 24:
        return bytes([kind << 5 | size])
    width = next(exponent for exponent in range(4) if size < 1 << (8 << exponent))
    return bytes([kind << 5 | 24 + width]) + size.to_bytes(1 << width, "big")
