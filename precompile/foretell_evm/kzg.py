"""The point evaluation precompile (EIP-4844): output, gas and failures are py-evm's.

py-evm reads the trusted setup from its file at each call, which takes a second for 50,000 gas, and checks
with ``assert``, so that ``python -O`` accepts any proof. Here the setup is read once.
"""

from functools import cache
from typing import Any, Final

from ckzg import load_trusted_setup, verify_kzg_proof
from eth._utils.address import force_bytes_to_address
from eth.abc import ComputationAPI
from eth.exceptions import VMError
from eth.precompiles.point_evaluation import TRUSTED_SETUP_PATH, kzg_to_versioned_hash
from eth.vm.forks.cancun.constants import (
    BLS_MODULUS,
    FIELD_ELEMENTS_PER_BLOB,
    POINT_EVALUATION_PRECOMPILE_ADDRESS,
    POINT_EVALUATION_PRECOMPILE_GAS,
)

ADDRESS: Final = force_bytes_to_address(POINT_EVALUATION_PRECOMPILE_ADDRESS)
_INPUT_SIZE: Final = 192
_OUTPUT: Final = FIELD_ELEMENTS_PER_BLOB.to_bytes(32, "big") + BLS_MODULUS.to_bytes(32, "big")


def point_evaluation(computation: ComputationAPI) -> ComputationAPI:
    """Check that the polynomial of a commitment has the value ``y`` at ``z``."""
    computation.consume_gas(POINT_EVALUATION_PRECOMPILE_GAS, reason="Point Evaluation Precompile")
    data = computation.msg.data_as_bytes
    if len(data) != _INPUT_SIZE:
        raise VMError("Point evaluation invalid input length.")
    versioned_hash, z, y = (data[start : start + 32] for start in (0, 32, 64))
    commitment, proof = data[96:144], data[144:]
    if kzg_to_versioned_hash(commitment) != versioned_hash:
        raise VMError("Point evaluation commitment does not match versioned hash.")
    if not _holds(commitment, z, y, proof):
        raise VMError("Point evaluation KZG proof verification failed.")
    computation.output = _OUTPUT
    return computation


def _holds(commitment: bytes, z: bytes, y: bytes, proof: bytes) -> bool:
    try:
        return bool(verify_kzg_proof(commitment, z, y, proof, _trusted_setup()))
    except RuntimeError:  # what is no point or no field element
        return False


@cache
def _trusted_setup() -> Any:
    return load_trusted_setup(TRUSTED_SETUP_PATH, 0)
