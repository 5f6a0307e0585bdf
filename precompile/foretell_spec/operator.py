"""The seam between whoever needs an answer and whoever runs models."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from eth_typing import ChecksumAddress

from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.commitment import Commitment, Reveal
from foretell_spec.request import NO_SEED
from foretell_spec.tensor import Tensor


@dataclass(frozen=True, slots=True)
class InferenceJob:
    """One question for an operator; ``inputs`` are quantised, chain and contract go into the domain."""

    request_id: bytes
    model_id: bytes
    inputs: Tensor
    min_assurance: Assurance
    chain_id: int
    verifying_contract: ChecksumAddress
    seed: bytes = NO_SEED


class Operator(Protocol):
    """Somebody bonded who runs models."""

    @property
    def address(self) -> ChecksumAddress:
        """The bonded account."""
        ...

    def answer(self, job: InferenceJob) -> Bundle:
        """Run the model and sign, with a proof where the job asks for ``PROVEN``.

        Blocks; any error means no answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """An answer that is committed to, and how to ask for it; ``reveal`` blocks, any error means none."""

    commitment: Commitment
    reveal: Callable[[], Reveal]


@runtime_checkable
class QuorumOperator(Operator, Protocol):
    """An operator that also commits before it answers, so that it can be one of several that agree.

    One that only answers is drawn for no quorum.
    """

    def commit(self, job: InferenceJob) -> Sealed:
        """Run the model, sign, and commit to the answer without showing it.

        Blocks; any error means no answer.
        """
        ...
