"""Inputs of Prague's precompiles: right ones, and right ones that somebody broke."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from random import Random
from typing import Any, Final

from eth_keys.datatypes import PrivateKey
from py_ecc import optimized_bls12_381 as bls
from py_ecc import optimized_bn128 as bn

Make = Callable[[Random], bytes]

BLS_ORDER: Final = bls.curve_order
_POOL: Final = 4
_SLOW: Final = {8: 0.04, 10: 0.05, 12: 0.3, 13: 0.2, 14: 0.2, 15: 0.04, 16: 0.3, 17: 0.15}
"""How often the inputs of slow precompiles are whole ones; the others cost pure Python most of its time."""


def precompile_input(random: Random, number: int) -> bytes:
    """An input for the precompile ``number``; about half of them are right."""
    make = _MAKERS.get(number, _noise)
    if random.random() > _SLOW.get(number, 1.0):
        return _noise(random)
    data = make(random)
    return data if random.random() < 0.55 else _broken(random, data)


def _noise(random: Random) -> bytes:
    return random.randbytes(random.choice((0, 1, 31, 32, 33, 64, 96, 128, 160, 192, 213, 288)))


def _broken(random: Random, data: bytes) -> bytes:
    kind, changed = random.randrange(5), bytearray(data)
    if kind == 0 and changed:
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    elif kind == 1:
        del changed[random.randint(0, len(changed)) :]
    elif kind == 2:
        changed += random.randbytes(random.randint(1, 40))
    elif kind == 3 and len(changed) >= 32:
        start = 32 * random.randrange(len(changed) // 32)
        changed[start : start + 32] = random.choice((b"\xff" * 32, bytes(32), _word(bn.field_modulus)))
    elif kind == 4 and len(changed) >= 64:
        start = 64 * random.randrange(len(changed) // 64)
        changed[start : start + 64] = bls.field_modulus.to_bytes(64, "big")
    return bytes(changed)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _ecrecover(random: Random) -> bytes:
    digest = random.randbytes(32)
    signature = PrivateKey(_word(random.randint(1, 2**128))).sign_msg_hash(digest)
    v = signature.v + random.choice((27, 27, 27, 0, 28))
    return digest + _word(v) + _word(signature.r) + _word(signature.s)


def _modexp(random: Random) -> bytes:
    sizes = [random.choice((0, 1, 2, 31, 32, 33, 64)) for _ in range(3)]
    if random.random() < 0.1:
        sizes[random.randrange(3)] = random.choice((1024, 2**32, 2**64, 2**256 - 1))
    body = b"".join(random.randbytes(size) for size in sizes if size <= 1024)
    return b"".join(map(_word, sizes)) + body


@cache
def _bn_points() -> tuple[list[bytes], list[bytes]]:
    first, second = [bytes(64)], [bytes(128)]
    for scalar in range(1, _POOL):
        x, y = bn.normalize(bn.multiply(bn.G1, scalar))
        first.append(_word(int(x)) + _word(int(y)))
        x, y = bn.normalize(bn.multiply(bn.G2, scalar))
        second.append(b"".join(_word(int(each.coeffs[index])) for each in (x, y) for index in (1, 0)))
    return first, second


def _bn_add(random: Random) -> bytes:
    points, _ = _bn_points()
    return random.choice(points) + random.choice(points)


def _scalar(random: Random) -> bytes:
    return _word(random.choice((0, 1, 2, BLS_ORDER - 1, BLS_ORDER, 2**256 - 1, random.getrandbits(256))))


def _bn_mul(random: Random) -> bytes:
    return random.choice(_bn_points()[0]) + _scalar(random)


def _bn_pairing(random: Random) -> bytes:
    first, second = _bn_points()
    return b"".join(random.choice(first) + random.choice(second) for _ in range(random.randint(0, 2)))


def _blake2(random: Random) -> bytes:
    rounds = random.choice((0, 1, 12, random.randint(0, 50)))
    return rounds.to_bytes(4, "big") + random.randbytes(64 + 128 + 16) + bytes([random.choice((0, 1, 1, 2))])


def _fp(value: Any) -> bytes:
    return int(value).to_bytes(64, "big")


@cache
def _bls_points() -> tuple[list[bytes], list[bytes]]:
    first, second = [bytes(128)], [bytes(256)]
    for scalar in range(1, _POOL):
        x, y = bls.normalize(bls.multiply(bls.G1, scalar))
        first.append(_fp(x) + _fp(y))
        x, y = bls.normalize(bls.multiply(bls.G2, scalar))
        second.append(b"".join(_fp(each.coeffs[index]) for each in (x, y) for index in (0, 1)))
    return first, second


def _bls_add(group: int) -> Make:
    return lambda random: random.choice(_bls_points()[group]) + random.choice(_bls_points()[group])


def _bls_msm(group: int) -> Make:
    def make(random: Random) -> bytes:
        points = _bls_points()[group]
        return b"".join(random.choice(points) + _scalar(random) for _ in range(random.randint(0, 2)))

    return make


def _bls_pairing(random: Random) -> bytes:
    first, second = _bls_points()
    return b"".join(random.choice(first) + random.choice(second) for _ in range(random.randint(0, 2)))


def _field(count: int) -> Make:
    return lambda random: b"".join(_fp(random.randrange(bls.field_modulus)) for _ in range(count))


def _kzg(random: Random) -> bytes:
    """A constant polynomial: its commitment is that constant times the generator, its proof is nothing."""
    constant = random.randint(1, _POOL)
    x, y = (int(each) for each in bls.normalize(bls.multiply(bls.G1, constant)))
    larger = y > bls.field_modulus - y
    commitment = bytearray(x.to_bytes(48, "big"))
    commitment[0] |= 0x80 | (0x20 if larger else 0)
    versioned = b"\x01" + sha256(commitment).digest()[1:]
    z = random.randrange(BLS_ORDER)
    return versioned + _word(z) + _word(constant) + bytes(commitment) + b"\xc0" + bytes(47)


_MAKERS: Final[dict[int, Make]] = {
    1: _ecrecover,
    5: _modexp,
    6: _bn_add,
    7: _bn_mul,
    8: _bn_pairing,
    9: _blake2,
    10: _kzg,
    11: _bls_add(0),
    12: _bls_msm(0),
    13: _bls_add(1),
    14: _bls_msm(1),
    15: _bls_pairing,
    16: _field(1),
    17: _field(2),
}
