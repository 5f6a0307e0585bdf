"""What a bundle is worth: one path checks operators' evidence for builders and full nodes alike.

Everything is judged in the parent state of the block that uses the bundle, by the code that settles it on
chain: the signature against OperatorRegistry, the proof by CircuitVerifier. No model and no prover is needed.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from itertools import combinations
from typing import Final, TypeVar

from eth.abc import StateAPI
from eth_typing import ChecksumAddress

from foretell_evm.config import Quorum
from foretell_evm.errors import EvidenceError
from foretell_evm.system_calls import SystemCallError, model_of, signer_of, verify_proof
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import MAX_PROOF_BYTES, Bundle
from foretell_spec.commitment import Commitment, Reveal
from foretell_spec.divergence import DeterminismClass, agreed_value, judge
from foretell_spec.errors import ManifestError, SignatureError, TensorError
from foretell_spec.manifest import Manifest
from foretell_spec.request import NO_SEED, precompile_request_id
from foretell_spec.sidecar import Answer, Dissent
from foretell_spec.tensor import Tensor, dequantise, require_quantised

_KEPT: Final = 8192
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class EvidenceChecker:
    """Checks bundles; remembers signatures and proofs, and what registries say in a state, by its root.

    A proof's verdict stays, because a model's entry never changes and the bundle's hash covers the proof.
    States are those after a block, without changes of their own. Safe to use from several threads.
    """

    def __init__(self, chain_id: int, quorum: Quorum) -> None:
        self._chain_id = chain_id
        self._quorum = quorum
        self._lock = threading.Lock()
        self._signers: OrderedDict[bytes, str] = OrderedDict()
        self._proven: OrderedDict[bytes, None] = OrderedDict()
        self._manifests: OrderedDict[tuple[bytes, bytes], Manifest] = OrderedDict()
        self._keys: OrderedDict[tuple[bytes, str], str] = OrderedDict()

    def check(self, bundle: Bundle, state: StateAPI) -> Assurance:
        """How strong the bundle's evidence is in ``state``: ``SIGNED``, or ``PROVEN`` with a proof.

        Raises:
            EvidenceError: something in the bundle is wrong; a bundle with a bad proof is worth nothing.
        """
        manifest = self.manifest(bundle.model_id, state)
        self._check_request(bundle, manifest)
        _check_tensors(bundle, manifest)
        self._check_signature(bundle, state)
        if not bundle.proof:
            return Assurance.SIGNED
        if manifest.determinism is not DeterminismClass.CIRCUIT:
            raise EvidenceError(f"class {manifest.determinism.name} has no proofs")
        self._check_proof(bundle, state)
        return Assurance.PROVEN

    def check_answer(self, answer: Answer, state: StateAPI) -> Assurance:
        """How strong an answer's evidence is in ``state``: that of its one bundle, or ``AGREED``.

        Raises:
            EvidenceError: a bundle does not hold, or they make no quorum with these outputs.
        """
        strengths = [self.check(bundle, state) for bundle in answer.bundles]
        if len(strengths) == 1:
            if answer.outputs != answer.lead.outputs:
                raise EvidenceError("the outputs are not the bundle's")
            return strengths[0]
        self._check_quorum(answer.bundles)
        manifest = self.manifest(answer.lead.model_id, state)
        if manifest.determinism is DeterminismClass.OPEN:
            raise EvidenceError("operators cannot agree where no output is the correct one")
        for first, second in combinations(answer.bundles, 2):
            if contradict(manifest, first.outputs, second.outputs):
                raise EvidenceError(f"operators {first.operator} and {second.operator} do not agree")
        if answer.outputs != agreed_value([bundle.outputs for bundle in answer.bundles]):
            raise EvidenceError("the outputs are not what the operators agree on")
        return Assurance.AGREED

    def check_dissent(self, dissent: Dissent, state: StateAPI) -> None:
        """Whether both bundles hold in ``state`` and contradict each other by the rule of the model's class.

        Raises:
            EvidenceError: they do not.
        """
        for bundle in (dissent.first, dissent.second):
            self.check(bundle, state)
        manifest = self.manifest(dissent.first.model_id, state)
        if not contradict(manifest, dissent.first.outputs, dissent.second.outputs):
            raise EvidenceError("the outputs do not contradict each other by the rule of the model's class")

    def check_commitment(self, commitment: Commitment, state: StateAPI) -> None:
        """Whether the operator's key signed it.

        Raises:
            EvidenceError: it did not.
        """
        self._require_signer(commitment, state)

    def check_reveal(self, reveal: Reveal, state: StateAPI) -> Assurance:
        """What the revealed bundle is worth; that it opens its commitment is the reveal's own matter.

        Raises:
            EvidenceError: the bundle does not hold, or the operator's key did not sign the reveal.
        """
        self._require_signer(reveal, state)
        return self.check(reveal.bundle, state)

    def _require_signer(self, statement: Commitment | Reveal, state: StateAPI) -> None:
        registered = self._key_of(statement.operator, state)
        try:
            signer = statement.signer(self._chain_id, PRECOMPILE)
        except SignatureError as error:
            raise EvidenceError(f"the signature does not hold: {error}") from None
        if signer != registered:
            raise EvidenceError(f"the signature is not of operator {statement.operator}")

    def _check_quorum(self, bundles: Sequence[Bundle]) -> None:
        count, quorum = len(bundles), self._quorum
        if not quorum.agree <= count <= quorum.executors:
            raise EvidenceError(f"{count} operators; {quorum.agree} to {quorum.executors} make a quorum")
        if len({bundle.operator for bundle in bundles}) != count:
            raise EvidenceError("an operator counts once in a quorum")

    def _check_request(self, bundle: Bundle, manifest: Manifest) -> None:
        seeded = manifest.determinism is DeterminismClass.SEEDED
        if seeded is (bundle.seed == NO_SEED):
            raise EvidenceError("the bundle has no seed" if seeded else "the bundle has a seed")
        # Which seed is right shows when a transaction asks: its request id names the one derived from it.
        expected = precompile_request_id(self._chain_id, bundle.model_id, bundle.input_hash, bundle.seed)
        if bundle.request_id != expected:
            raise EvidenceError("the request id does not follow from chain, model, input and seed")

    def _check_signature(self, bundle: Bundle, state: StateAPI) -> None:
        if self._recover(bundle) != self._key_of(bundle.operator, state):
            raise EvidenceError(f"the signature is not of operator {bundle.operator}")

    def manifest(self, model_id: bytes, state: StateAPI) -> Manifest:
        """A registered model's manifest.

        Raises:
            EvidenceError: it is not registered in ``state``.
        """
        return self._once(
            self._manifests, (state.state_root, model_id), lambda: _registered_manifest(model_id, state)
        )

    def _key_of(self, operator: ChecksumAddress, state: StateAPI) -> str:
        return self._once(
            self._keys, (state.state_root, operator), lambda: _registered_signer(operator, state)
        )

    def _recover(self, bundle: Bundle) -> str:
        return self._once(self._signers, bundle.hash, lambda: self._signer(bundle))

    def _signer(self, bundle: Bundle) -> str:
        try:
            return bundle.signer(self._chain_id, PRECOMPILE)
        except SignatureError as error:
            raise EvidenceError(f"the signature does not hold: {error}") from None

    def _check_proof(self, bundle: Bundle, state: StateAPI) -> None:
        self._once(self._proven, bundle.hash, lambda: _require_proof(bundle, state))

    def _once(self, kept: OrderedDict[_Key, _Value], key: _Key, find: Callable[[], _Value]) -> _Value:
        """What is kept under ``key``, or what ``find`` gives, kept from now on."""
        with self._lock:
            if key in kept:
                return kept[key]
        value = find()
        with self._lock:
            kept[key] = value
            if len(kept) > _KEPT:
                kept.popitem(last=False)
        return value


def contradict(manifest: Manifest, first: Tensor, second: Tensor) -> bool:
    """Whether at most one of two quantised outputs is right, by the rule of the model's class."""
    scale = manifest.output_scale
    outputs = (dequantise(first, scale), dequantise(second, scale))
    return judge(manifest.determinism, *outputs, manifest.tolerance).contradicts


def _registered_signer(operator: ChecksumAddress, state: StateAPI) -> ChecksumAddress:
    try:
        registered = signer_of(state, operator)
    except SystemCallError as error:
        raise EvidenceError(f"the operator registry does not answer: {error}") from None
    if registered is None:
        raise EvidenceError(f"operator {operator} has no active bond")
    return registered


def _registered_manifest(model_id: bytes, state: StateAPI) -> Manifest:
    try:
        model = model_of(state, model_id)
    except (SystemCallError, ManifestError) as error:
        raise EvidenceError(f"the model registry does not answer: {error}") from None
    if model is None:
        raise EvidenceError(f"model 0x{model_id.hex()} is not registered")
    return model.manifest


def _require_proof(bundle: Bundle, state: StateAPI) -> None:
    if len(bundle.proof) > MAX_PROOF_BYTES:
        raise EvidenceError(f"the proof is over {MAX_PROOF_BYTES} bytes")
    try:
        verify_proof(state, bundle)
    except SystemCallError as error:
        raise EvidenceError(f"the proof does not hold: {error}") from None


def _check_tensors(bundle: Bundle, manifest: Manifest) -> None:
    try:
        manifest.admit(bundle.inputs)
        for q in bundle.outputs:
            require_quantised(q)
    except TensorError as error:
        raise EvidenceError(str(error)) from None
    if len(bundle.outputs) != manifest.output_size:
        raise EvidenceError(f"the model gives {manifest.output_size} numbers, not {len(bundle.outputs)}")
