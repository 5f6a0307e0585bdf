"""Point evaluation gives what py-evm gives, also where Python leaves asserts out."""

import subprocess
import sys
from hashlib import sha256

import pytest
from eth.exceptions import VMError
from eth.precompiles import point_evaluation as stock
from py_ecc import optimized_bls12_381 as bls

from foretell_evm import kzg

WORD = 32
CONSTANT = 1


class Computation:
    """What a precompile needs of a computation."""

    def __init__(self, data: bytes) -> None:
        self.msg = self
        self.data_as_bytes = data
        self.output = b""
        self.gas = 0

    def consume_gas(self, amount: int, reason: str) -> None:
        self.gas += amount


def run(function, data: bytes):
    computation = Computation(data)
    try:
        function(computation)
    except VMError as error:
        return str(error), computation.gas
    return computation.output, computation.gas


def evaluation(y: int = CONSTANT, z: int = 5, proof: bytes = b"\xc0" + bytes(47)) -> bytes:
    """That the polynomial which is 1 everywhere is ``y`` at ``z``: its commitment is the generator."""
    commitment = bytearray(int(bls.G1[0]).to_bytes(48, "big"))
    commitment[0] |= 0x80
    versioned = b"\x01" + sha256(commitment).digest()[1:]
    return versioned + z.to_bytes(WORD, "big") + y.to_bytes(WORD, "big") + bytes(commitment) + proof


@pytest.mark.parametrize(
    "data",
    [
        evaluation(),
        evaluation(y=2),
        evaluation(z=bls.curve_order),
        evaluation(z=2**256 - 1),
        evaluation(proof=b"\xff" * 48),
        evaluation(proof=bytes(48)),
        b"\x02" + evaluation()[1:],
        evaluation()[:-1],
        evaluation() + b"\0",
        b"",
    ],
)
def test_point_evaluation__of_anything__equals_stock(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "load_trusted_setup", lambda *_: kzg._trusted_setup())  # else a second each
    assert run(kzg.point_evaluation, data) == run(stock.point_evaluation_precompile, data)


def test_point_evaluation__of_a_proof_that_holds__gives_the_constants() -> None:
    output, gas = run(kzg.point_evaluation, evaluation())
    assert gas == 50_000
    assert output == (4096).to_bytes(WORD, "big") + bls.curve_order.to_bytes(WORD, "big")


def test_point_evaluation__without_asserts__still_refuses_a_false_proof() -> None:
    program = f"""
from types import SimpleNamespace
from eth.exceptions import VMError
from foretell_evm.kzg import point_evaluation
message = SimpleNamespace(data_as_bytes=bytes.fromhex("{evaluation(y=2).hex()}"))
try:
    point_evaluation(SimpleNamespace(msg=message, consume_gas=lambda amount, reason: None))
except VMError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused"
