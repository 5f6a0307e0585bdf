"""What a verification costs: the verifier contract deployed and called on a throw-away EVM."""

from dataclasses import dataclass
from typing import Final

import pyrevm
from eth_abi import encode
from eth_utils import keccak

from foretell_relayer.prove.errors import InvalidProof
from foretell_relayer.prove.solidity import CompiledVerifier
from foretell_spec.tensor import Tensor, to_felt

VERIFY_PROOF: Final = keccak(text="verifyProof(bytes,uint256[])")[:4]
_CALLER: Final = "0x0000000000000000000000000000000000000001"
_TRANSACTION: Final = 21_000


@dataclass(frozen=True, slots=True)
class VerificationGas:
    """Gas of deploying the verifier, and of one verification inside a call and as a transaction."""

    deployment: int
    call: int
    transaction: int


def measure(verifier: CompiledVerifier, inputs: Tensor, outputs: Tensor, proof: bytes) -> VerificationGas:
    """Verify ``proof`` by the contract itself, and return what that costs.

    Raises:
        InvalidProof: the contract refuses it, or deploys to other code than stated.
    """
    evm = pyrevm.EVM(gas_limit=100_000_000)
    evm.set_balance(_CALLER, 10**18)
    address = evm.deploy(_CALLER, verifier.bytecode)
    deployment = _gas_used(evm)
    code = evm.get_code(address) or b""  # followed by zero bytes, which revm adds for itself
    if not code.startswith(verifier.runtime) or any(code[len(verifier.runtime) :]):
        raise InvalidProof("the verifier contract deploys to other code than the compiler stated")
    data = VERIFY_PROOF + encode(["bytes", "uint256[]"], [proof, [to_felt(q) for q in (*inputs, *outputs)]])
    try:
        result = evm.message_call(_CALLER, address, calldata=data, gas=30_000_000)
    except RuntimeError as error:
        raise InvalidProof(f"the verifier contract refuses the proof ({error})") from None
    if int.from_bytes(result, "big") != 1:
        raise InvalidProof("the verifier contract does not accept the proof")
    used = _gas_used(evm)
    intrinsic = _TRANSACTION + sum(16 if byte else 4 for byte in data)
    return VerificationGas(deployment, used - intrinsic, used)


def _gas_used(evm: pyrevm.EVM) -> int:
    if evm.result is None:
        raise InvalidProof("the verifier contract did not run")
    return int(evm.result.gas_used)
