"""An operator in this process: answers jobs with the models of a store, signs, and proves where that is
asked.

It implements ``foretell_spec.operator.QuorumOperator``.
"""

import secrets
from dataclasses import dataclass
from typing import Final

import structlog
from eth_keys.datatypes import PrivateKey
from eth_typing import ChecksumAddress

from foretell_relayer.models.errors import InsecureModel
from foretell_relayer.models.folder import ModelFolder
from foretell_relayer.models.proofs import ProofCache
from foretell_relayer.models.store import ModelStore
from foretell_relayer.workshop import Workshop
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.commitment import seal
from foretell_spec.operator import InferenceJob, Sealed

log = structlog.get_logger(__name__)

DEVELOPMENT_CHAINS: Final = frozenset({31337, 1337})
"""Chain ids of development chains, on which an SRS that somebody generated alone does no harm."""


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """Who answers: the bonded account, and the key that signs for it. It never shows the key."""

    address: ChecksumAddress
    key: PrivateKey

    def __repr__(self) -> str:
        return f"Identity(address={self.address!r}, signer={self.signer!r})"

    @property
    def signer(self) -> ChecksumAddress:
        """Address of the signing key."""
        return self.key.public_key.to_checksum_address()


class LocalOperator(Workshop):
    """A workshop whose answers are signed."""

    def __init__(
        self,
        identity: Identity,
        store: ModelStore,
        *,
        proofs: ProofCache | None = None,
        accept_insecure_srs: bool = False,
    ) -> None:
        super().__init__(store, proofs=proofs)
        self._identity = identity
        self._accept_insecure_srs = accept_insecure_srs

    def __repr__(self) -> str:
        return f"LocalOperator({self._identity!r})"

    @property
    def address(self) -> ChecksumAddress:
        """The bonded account."""
        return self._identity.address

    @property
    def signer(self) -> ChecksumAddress:
        """Address of the signing key."""
        return self._identity.signer

    def answer(self, job: InferenceJob) -> Bundle:
        """Run the model, sign, and prove if the job asks for ``PROVEN``.

        Raises:
            UnknownModel: the store does not hold the model.
            InsecureModel: its SRS is fit for development chains only, and this is none.
            NoProofs: the job asks for a proof, and the model has no circuit.
            ModelError: the model cannot be run here; the leaf says why.
            TensorError: the inputs are not of the model's domain.
            ProveError: EZKL could not answer.
        """
        folder = self._admit(job)
        outputs = self.infer(folder, job.inputs, job.seed)
        proof = self.prove(folder, job.inputs, outputs) if job.min_assurance >= Assurance.PROVEN else b""
        bundle = Bundle(
            request_id=job.request_id,
            model_id=job.model_id,
            inputs=job.inputs,
            outputs=outputs,
            operator=self.address,
            seed=job.seed,
            proof=proof,
        )
        log.debug("answered", request_id="0x" + job.request_id.hex(), model=folder.name, proven=bool(proof))
        return bundle.signed(self._identity.key, job.chain_id, job.verifying_contract)

    def commit(self, job: InferenceJob) -> Sealed:
        """Answer, and show only that there is an answer; raises what ``answer`` raises."""
        bundle, salt, key = self.answer(job), secrets.token_bytes(32), self._identity.key
        commitment, reveal = seal(bundle, salt, key, job.chain_id, job.verifying_contract)
        return Sealed(commitment, lambda: reveal)

    def _admit(self, job: InferenceJob) -> ModelFolder:
        folder = self._store.get(job.model_id)
        if folder.insecure and not self._accept_insecure_srs and job.chain_id not in DEVELOPMENT_CHAINS:
            raise InsecureModel(
                f"{folder.name}: its SRS is of no known ceremony, "
                "so whoever made it may be able to prove anything; "
                f"chain {job.chain_id} is no development chain (--accept-insecure-srs overrides)"
            )
        folder.manifest.admit(job.inputs)
        return folder
