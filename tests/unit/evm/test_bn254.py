"""Native BN254 gives what py-evm gives."""

from types import SimpleNamespace

import pytest
from eth.exceptions import VMError
from eth.vm.forks.prague.computation import PragueComputation
from hypothesis import given
from hypothesis import strategies as st
from py_ecc import optimized_bn128 as bn

from foretell_evm.bn254 import NATIVE_BN254

FIELD = bn.field_modulus
ORDER = bn.curve_order


class _Computation:
    """What a precompile needs of a computation."""

    def __init__(self, data: bytes) -> None:
        self.msg = SimpleNamespace(data=data, data_as_bytes=data)
        self.output = b""
        self.gas = 0

    def consume_gas(self, amount: int, reason: str) -> None:
        self.gas += amount


def _run(table, number: int, data: bytes):
    computation = _Computation(data)
    try:
        table[number.to_bytes(20, "big")](computation)
    except VMError:
        return "failure"
    return computation.output, computation.gas


def same(number: int, data: bytes) -> None:
    assert _run(NATIVE_BN254, number, data) == _run(PragueComputation.get_precompiles(), number, data)


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)


def g1(scalar: int) -> bytes:
    x, y = bn.normalize(bn.multiply(bn.G1, scalar)) if scalar % ORDER else (bn.FQ(0), bn.FQ(0))
    return words(int(x), int(y))


def g2(scalar: int) -> bytes:
    x, y = bn.normalize(bn.multiply(bn.G2, scalar))
    return words(x.coeffs[1], x.coeffs[0], y.coeffs[1], y.coeffs[0])


def _root(value: int) -> int | None:
    root = pow(value, (FIELD + 1) // 4, FIELD)
    return root if root * root % FIELD == value % FIELD else None


def outside_subgroup() -> bytes:
    """A point on the twist, but not in its subgroup of prime order (few of its points are)."""
    for x in range(1, 100):
        a, b = ((bn.FQ2([x, 0]) ** 3 + bn.b2).coeffs[index] for index in (0, 1))
        norm = _root(int(a) ** 2 + int(b) ** 2)
        if norm is None:
            continue
        half = pow(2, -1, FIELD)
        real = _root((int(a) + norm) * half % FIELD) or _root((int(a) - norm) * half % FIELD)
        if real:
            imaginary = int(b) * pow(2 * real, -1, FIELD) % FIELD
            return words(0, x, imaginary, real)
    raise AssertionError("no point found")


@pytest.mark.parametrize("number", [6, 7, 8])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1" * 31,
        b"\1" * 64,
        b"\1" * 128,
        words(FIELD, 0, 0, 0),
        words(0, FIELD, 0, 0),
        words(1, 2, FIELD + 1, 2),
        words(1, 2, 1, FIELD - 2),
        words(1, 2),
        words(1, 2)[:63],
        words(1, 2, 2**256 - 1),
        words(1, 2, 0) + b"\xff" * 100,
        words(1, 3, 1, 2),
        b"\0" * 192,
        b"\0" * 191,
        b"\0" * 384,
        words(1, 2) + b"\0" * 128,
        words(0, 0) + b"\1" * 128,
        words(0, 0, FIELD, 0, 0, 0),
    ],
)
def test_native__at_edges__equals_stock(number: int, data: bytes) -> None:
    same(number, data)


@given(st.integers(0, ORDER + 2), st.integers(0, ORDER + 2), st.integers(0, 40))
def test_ecadd__on_curve_and_truncated__equals_stock(a: int, b: int, cut: int) -> None:
    data = g1(a) + g1(b)
    same(6, data[: len(data) - cut])


@given(st.integers(0, ORDER), st.integers(0, 2**256 - 1))
def test_ecmul__any_scalar__equals_stock(point: int, scalar: int) -> None:
    same(7, g1(point) + words(scalar))


@given(st.sampled_from([6, 7, 8]), st.binary(max_size=400))
def test_native__random_bytes__equals_stock(number: int, data: bytes) -> None:
    same(number, data)


def test_ecpairing__of_opposite_pairs__is_one_like_stock() -> None:
    same(8, g1(3) + g2(5) + g1(ORDER - 15) + g2(1))
    assert _run(NATIVE_BN254, 8, g1(3) + g2(5) + g1(ORDER - 15) + g2(1))[0] == words(1)


def test_ecpairing__of_other_pairs__is_zero_like_stock() -> None:
    data = g1(3) + g2(5) + g1(7) + g2(1)
    same(8, data)
    assert _run(NATIVE_BN254, 8, data)[0] == words(0)


def test_ecpairing__point_off_curve__fails_like_stock() -> None:
    same(8, g1(1) + words(1, 2, 3, 4))


def test_ecpairing__point_outside_subgroup__fails_like_stock() -> None:
    data = g1(1) + outside_subgroup()
    assert _run(NATIVE_BN254, 8, data) == "failure"
    same(8, data)
