"""Reading the system contracts from inside the node: by their ABI, without leaving a trace in the state."""

from dataclasses import dataclass
from typing import Any, Final

from eth.abc import StateAPI
from eth.vm.message import Message
from eth_abi import decode, encode
from eth_typing import Address, ChecksumAddress
from eth_utils import keccak, to_canonical_address, to_checksum_address

from foretell_spec.addresses import (
    CIRCUIT_VERIFIER,
    MODEL_REGISTRY,
    OPERATOR_REGISTRY,
    PRECOMPILE,
    ZERO_ADDRESS,
)
from foretell_spec.bundle import Bundle
from foretell_spec.errors import ManifestError
from foretell_spec.manifest import MANIFEST_TUPLE, Manifest

_CALLER: Final = Address(to_canonical_address(PRECOMPILE))
_GAS: Final = 50_000_000
_ENTRY: Final = f"({MANIFEST_TUPLE},address,uint64,bool)"
_OPERATOR: Final = "(address,uint256,uint256,uint256,uint64,uint256)"
_KNOWN_MANIFESTS: Final = 1024


class SystemCallError(Exception):
    """A system contract refused; ``output`` is its revert data."""

    def __init__(self, output: bytes) -> None:
        self.output = output
        super().__init__(_text_of(output))


def static_call(state: StateAPI, to: ChecksumAddress, signature: str, values: list[Any]) -> bytes:
    """Call ``signature`` of a contract statically and undo every trace, warm addresses and slots included.

    Raises:
        SystemCallError: the call failed.
    """
    address = Address(to_canonical_address(to))
    types = signature[signature.index("(") + 1 : -1].split(",")
    data = keccak(text=signature)[:4] + encode(types, values)
    message = Message(
        gas=_GAS,
        to=address,
        sender=_CALLER,
        value=0,
        data=data,
        code=state.get_code(address),
        is_static=True,
    )
    context = state.get_transaction_context_class()(gas_price=0, origin=_CALLER)
    snapshot = state.snapshot()
    try:
        computation = state.computation_class.apply_message(state, message, context)
    finally:
        state.revert(snapshot)
    if computation.is_error:
        raise SystemCallError(computation.output)
    return computation.output


def _text_of(output: bytes) -> str:
    if output[:4] == keccak(text="Error(string)")[:4]:
        return str(decode(["string"], output[4:])[0])
    return f"0x{output.hex()}"


@dataclass(frozen=True, slots=True)
class Model:
    """What a state's registry says of a model."""

    manifest: Manifest
    is_open: bool


_manifests: dict[bytes, Manifest] = {}


def model_of(state: StateAPI, model_id: bytes) -> Model | None:
    """A registered model, stopped or not; ``None`` where this state's registry does not know it.

    Manifests are kept by id, which is their hash; whether the registry knows the model is asked each time.

    Raises:
        SystemCallError: the registry does not answer.
        ManifestError: its entry is no manifest of this id.
    """
    takes_requests = bool(
        decode(["bool"], static_call(state, MODEL_REGISTRY, "is_open(bytes32)", [model_id]))[0]
    )
    known = _manifests.get(model_id)
    if known is not None and takes_requests:
        return Model(known, is_open=True)
    (entry,) = decode([_ENTRY], static_call(state, MODEL_REGISTRY, "entry(bytes32)", [model_id]))
    words, _, registered_at, _ = entry
    if not registered_at:
        return None
    manifest = _manifest_from(words)
    if manifest.model_id != model_id:
        raise ManifestError("the registry's entry does not hash to its id")
    if len(_manifests) >= _KNOWN_MANIFESTS:
        _manifests.clear()
    _manifests[model_id] = manifest
    return Model(manifest, takes_requests)


def _manifest_from(words: tuple[Any, ...]) -> Manifest:
    return Manifest.from_words((words[0], to_checksum_address(words[1]), *words[2:]))


def signer_of(state: StateAPI, operator: ChecksumAddress) -> ChecksumAddress | None:
    """The key whose signatures count for an operator with an active bond."""
    output = static_call(state, OPERATOR_REGISTRY, "signer_of(address)", [operator])
    signer = to_checksum_address(decode(["address"], output)[0])
    return None if signer == ZERO_ADDRESS else signer


def active_bond(state: StateAPI, operator: ChecksumAddress) -> int:
    """Wei that stand behind an operator and are not leaving; 0 where its signatures do not count.

    Raises:
        SystemCallError: the registry does not answer.
    """
    if signer_of(state, operator) is None:
        return 0
    output = static_call(state, OPERATOR_REGISTRY, "operator_info(address)", [operator])
    ((_, bond, _, unbonding, _, _),) = decode([_OPERATOR], output)
    return int(bond - unbonding)


def verify_proof(state: StateAPI, bundle: Bundle) -> None:
    """Check the bundle's proof as the chain does.

    Raises:
        SystemCallError: the verifier does not accept it.
    """
    values = [bundle.model_id, list(bundle.inputs), list(bundle.outputs), bundle.proof]
    output = static_call(state, CIRCUIT_VERIFIER, "verify(bytes32,int256[],int256[],bytes)", values)
    if output != (1).to_bytes(32, "big"):
        raise SystemCallError(output)
