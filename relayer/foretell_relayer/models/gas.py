"""What a verification costs: the verifier contract deployed and called on a throw-away EVM."""

from dataclasses import dataclass
from typing import Final

import pyrevm
from eth_abi import encode
from eth_typing import ChecksumAddress
from eth_utils import keccak, to_checksum_address

from foretell_relayer.prove.errors import InvalidProof
from foretell_relayer.prove.solidity import CompiledVerifier
from foretell_spec.tensor import Tensor, to_felt

VERIFY_PROOF: Final = keccak(text="verifyProof(bytes,uint256[])")[:4]
_CALLER: Final = "0x0000000000000000000000000000000000000001"
_ASKER: Final = "0x000000000000000000000000000000000000c0de"
_CODE_HASH: Final = bytes.fromhex("5f353f5f5260205ff3")
"""Answers with the code hash of the address that it is called with."""

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
    machine = _Machine()
    address = verifier.deploy(machine.create, machine.send)
    deployment = machine.gas
    if machine.code_hash(address) != verifier.code_hash:
        raise InvalidProof("the verifier contract deploys to other code than stated")
    data = VERIFY_PROOF + encode(["bytes", "uint256[]"], [proof, [to_felt(q) for q in (*inputs, *outputs)]])
    if int.from_bytes(machine.send(address, data), "big") != 1:
        raise InvalidProof("the verifier contract does not accept the proof")
    used = machine.gas - deployment
    intrinsic = _TRANSACTION + sum(16 if byte else 4 for byte in data)
    return VerificationGas(deployment, used - intrinsic, used)


class _Machine:
    """A throw-away EVM and the gas that was used on it."""

    def __init__(self) -> None:
        self._evm = pyrevm.EVM(gas_limit=100_000_000)
        self._evm.set_balance(_CALLER, 10**18)
        self.gas = 0

    def create(self, code: bytes) -> ChecksumAddress:
        """Deploy."""
        try:
            address = self._evm.deploy(_CALLER, code)
        except RuntimeError as error:
            raise InvalidProof(f"the verifier contract cannot be deployed ({error})") from None
        self._count()
        return to_checksum_address(address)

    def send(self, address: ChecksumAddress, data: bytes) -> bytes:
        """Call."""
        try:
            result = self._evm.message_call(_CALLER, address, calldata=data, gas=30_000_000)
        except RuntimeError as error:
            raise InvalidProof(f"the verifier contract refuses the proof ({error})") from None
        self._count()
        return bytes(result)

    def code_hash(self, address: ChecksumAddress) -> bytes:
        """``EXTCODEHASH``, asked for by code: revm hands code out with zero bytes that it adds for itself."""
        asker = "0x000000000000000000000000000000000000c0de"
        code = bytes.fromhex("5f353f5f5260205ff3")
        self._evm.insert_account_info(asker, pyrevm.AccountInfo(code=code))
        return bytes(
            self._evm.message_call(_CALLER, asker, calldata=bytes.fromhex(address[2:]).rjust(32, b"\0"))
        )

    def _count(self) -> None:
        if self._evm.result is None:
            raise InvalidProof("the verifier contract did not run")
        self.gas += int(self._evm.result.gas_used)
