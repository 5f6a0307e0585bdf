"""Strict ABI decoding in one pass: every tail directly behind the one before it, as compilers encode.

A general decoder follows any offset, so that a few hostile bytes can be decoded thousands of times. Here each
byte is read once, whatever the calldata is.
"""

from collections.abc import Sequence
from typing import Any

from eth_abi.grammar import ABIType, BasicType, TupleType, parse

from foretell_spec.errors import CalldataError

_WORD = 32


def decode_canonical(kinds: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Decode the arguments of a call, of ABI types ``kinds``; zero words may follow them.

    Raises:
        CalldataError: not the canonical encoding.
    """
    values, end = _sequence(tuple(map(parse, kinds)), data, 0)
    if len(data) % _WORD or data[end:].strip(b"\0"):
        raise CalldataError(f"there is more than {', '.join(kinds)}")
    return values


def _sequence(kinds: tuple[ABIType, ...], data: bytes, start: int) -> tuple[tuple[Any, ...], int]:
    head, tail = start, start + sum(_WORD if kind.is_dynamic else _size(kind) for kind in kinds)
    values = []
    for kind in kinds:
        if kind.is_dynamic:
            if _word(data, head) != tail - start:
                raise CalldataError("an offset does not lead to where the value must be")
            value, tail = _value(kind, data, tail)
            head += _WORD
        else:
            value, head = _value(kind, data, head)
        values.append(value)
    return tuple(values), tail


def _value(kind: ABIType, data: bytes, at: int) -> tuple[Any, int]:
    if kind.is_array:
        count = _word(data, at)
        if count > (len(data) - at) // _WORD:
            raise CalldataError("an array is longer than the calldata")
        return _sequence((kind.item_type,) * count, data, at + _WORD)
    if isinstance(kind, TupleType):
        return _sequence(tuple(kind.components), data, at)
    if not isinstance(kind, BasicType):
        raise TypeError(f"{kind!r} is no ABI type")
    if kind.base == "string":
        return _string(data, at)
    if kind.base == "bytes":
        return _bytes(data, at) if kind.is_dynamic else (_fixed(kind, data, at), at + _WORD)
    return _integer(kind, data, at), at + _WORD


def _size(kind: ABIType) -> int:
    """Bytes of a value of a static type."""
    return sum(map(_size, kind.components)) if isinstance(kind, TupleType) else _WORD


def _integer(kind: BasicType, data: bytes, at: int) -> int:
    word = _word(data, at)
    if kind.base == "int":
        word -= (word >> 255) << 256
        fits = -(1 << kind.sub - 1) <= word < 1 << kind.sub - 1
    else:
        fits = word < 1 << kind.sub
    if not fits:
        raise CalldataError(f"{word} is no {kind.base}{kind.sub}")
    return word


def _string(data: bytes, at: int) -> tuple[str, int]:
    value, end = _bytes(data, at)
    try:
        return value.decode(), end
    except UnicodeDecodeError:
        raise CalldataError("a string is not UTF-8") from None


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, start = _word(data, at), at + _WORD
    end = start + (size + _WORD - 1) // _WORD * _WORD
    if end > len(data) or data[start + size : end].strip(b"\0"):
        raise CalldataError("a string or bytes are cut short or padded with something")
    return data[start : start + size], end


def _fixed(kind: BasicType, data: bytes, at: int) -> bytes:
    word = _word(data, at).to_bytes(_WORD, "big")
    if any(word[kind.sub :]):
        raise CalldataError(f"bytes{kind.sub} are padded with something")
    return word[: kind.sub]


def _word(data: bytes, at: int) -> int:
    word = data[at : at + _WORD]
    if len(word) != _WORD:
        raise CalldataError("the calldata is cut short")
    return int.from_bytes(word, "big")
