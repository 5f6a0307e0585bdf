"""Vectors of precompiles, as go-ethereum keeps them: input, output and gas, or input and failure.

RFC 9380's vectors for hashing to BLS12-381 are of the same use: the maps of EIP-2537 are its maps.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from eth.abc import ComputationAPI
from eth.vm.message import Message
from eth_typing import Address

from tests.conformance.cases import Case, Environment
from tests.conformance.engines import FORK_OFF, FORK_ON, PyEvm
from tests.conformance.official.findings import Finding, Json, Result, expect, skip
from tests.conformance.official.values import number, octets

KIND: Final = "precompile vectors"
CURVES: Final = "hash to curve (RFC 9380)"
ADDRESSES: Final[Mapping[str, int]] = {
    "ecrecover": 1, "sha256": 2, "ripemd160": 3, "identity": 4, "modexp_eip2565": 5, "bn256add": 6,
    "bn256scalarmul": 7, "bn256pairing": 8, "blake2f": 9, "pointevaluation": 10, "blsg1add": 11,
    "blsg1mul": 12, "blsg1multiexp": 12, "blsg2add": 13, "blsg2mul": 14, "blsg2multiexp": 14,
    "blspairing": 15, "blsmapg1": 16, "blsmapg2": 17,
}  # fmt: skip
"""Precompiles of Prague by the file's name in lower case, without ``fail-``."""
_PLENTY: Final = 30_000_000
_SENDER: Final = Address(b"\x11" * 20)


def check(stem: str, vectors: list[Json]) -> Iterator[Finding]:
    """Each vector of a file."""
    to = ADDRESSES.get(stem.lower().removeprefix("fail-"))
    for each in vectors:
        name = f"{stem}: {each['Name']}"
        if to is None:
            yield skip(KIND, name, f"{stem}: no precompile of Prague, or not at Prague's price")
            continue
        found = [_check_one(name, engine, to, each) for engine in (FORK_ON, FORK_OFF)]
        yield next((finding for finding in found if finding.result is Result.FAILED), found[0])


def _check_one(name: str, engine: PyEvm, to: int, vector: Json) -> Finding:
    given = octets(vector["Input"])
    if "ExpectedError" in vector:
        failed = call(engine, to, given, _PLENTY).is_error
        return expect(KIND, name, vector["ExpectedError"], vector["ExpectedError"] if failed else "success")
    done = call(engine, to, given, number(vector["Gas"]))
    return expect(KIND, name, (octets(vector["Expected"]), 0), (done.output, done.get_gas_remaining()))


def call(engine: PyEvm, to: int, data: bytes, gas: int) -> ComputationAPI:
    """A call of a precompile."""
    _, state = engine.run_with_state(Case(0, Environment(), {}, ()))
    message = Message(
        to=Address(to.to_bytes(20, "big")), sender=_SENDER, value=0, data=data, code=b"", gas=gas
    )
    context = state.get_transaction_context_class()(gas_price=0, origin=_SENDER)
    return state.computation_class.apply_message(state, message, context)


def check_curve(name: str, suite: Json) -> Iterator[Finding]:
    """A suite of RFC 9380: what the maps of its field elements add up to."""
    group = {"BLS12-381 G1": (16, 11), "BLS12-381 G2": (17, 13)}.get(suite.get("curve", ""))
    if group is None or "vectors" not in suite:
        yield skip(CURVES, name, f"curve {suite.get('curve')}: no precompile of Prague")
        return
    to_curve, add = group
    for vector in suite["vectors"]:
        points = [_output(to_curve, _field(each)) for each in vector["u"]]
        total = points[0] if len(points) == 1 else _output(add, b"".join(points))
        expected = _field(vector["P"]["x"]) + _field(vector["P"]["y"])
        yield expect(CURVES, f"{name}: {vector['msg'][:20]!r}", expected, total)


def _output(to: int, data: bytes) -> bytes:
    return bytes(call(FORK_ON, to, data, _PLENTY).output)


def _field(value: Any) -> bytes:
    """An element of the field, or of its extension, as EIP-2537 has it."""
    return b"".join(number(each).to_bytes(64, "big") for each in str(value).split(","))
