"""The seam to the models: run one, prove one. The relayer's loops know nothing else of them."""

from typing import Protocol

import structlog

from foretell_relayer.errors import NoModel
from foretell_relayer.models.errors import InsecureModel
from foretell_relayer.models.folder import CircuitFolder
from foretell_relayer.models.store import ModelStore
from foretell_relayer.operator import DEVELOPMENT_CHAINS
from foretell_relayer.prove.errors import InvalidProof
from foretell_relayer.workshop import Workshop
from foretell_spec.manifest import Manifest
from foretell_spec.tensor import Tensor

log = structlog.get_logger(__name__)


class ModelRunner(Protocol):
    """Runs and proves models. Both calls block and raise ``ModelError``, ``ProveError`` or ``SpecError``."""

    def manifests(self) -> dict[bytes, Manifest]:
        """What is served, by model id."""
        ...

    def infer(self, model_id: bytes, inputs: Tensor) -> Tensor:
        """The model's one correct output for quantised inputs."""
        ...

    def prove(self, model_id: bytes, inputs: Tensor, outputs: Tensor) -> bytes:
        """A proof of these outputs, verified here before it is returned."""
        ...


class LocalRunner:
    """Models of a store: witnesses in a process that stays, each proof in a child process of its own."""

    def __init__(self, workshop: Workshop, store: ModelStore) -> None:
        self._workshop = workshop
        self._store = store

    def manifests(self) -> dict[bytes, Manifest]:
        return {folder.model_id: folder.manifest for folder in self._store}

    def infer(self, model_id: bytes, inputs: Tensor) -> Tensor:
        folder = self._store.get(model_id)
        return self._workshop.infer(folder, folder.manifest.admit(inputs))

    def prove(self, model_id: bytes, inputs: Tensor, outputs: Tensor) -> bytes:
        folder = self._store.get(model_id)
        try:
            return self._workshop.prove(folder, inputs, outputs)
        except InvalidProof:
            # The keys are damaged or belong to other files: they are made again for the next try.
            self._store.cache.forget(model_id)
            raise


def require_models(store: ModelStore) -> None:
    """Refuse to start with nothing to do, or with a model whose results Settlement does not take.

    Raises:
        NoModel: there is nothing to serve, or a model is not of class CIRCUIT.
    """
    if not list(store):
        raise NoModel("there is no model to serve")
    others = [folder.name for folder in store if not isinstance(folder, CircuitFolder)]
    if others:
        raise NoModel(
            f"{', '.join(others)}: Settlement takes models of class CIRCUIT alone; "
            "others are served by `foretell node`"
        )


def require_secure(store: ModelStore, chain_id: int, *, accept_insecure: bool) -> None:
    """Refuse to start with a model whose proofs anybody could forge on this chain.

    Raises:
        InsecureModel: its reference string is of no known ceremony, and the chain is no development chain.
    """
    insecure = insecure_models(store)
    if not insecure:
        return
    if chain_id not in DEVELOPMENT_CHAINS and not accept_insecure:
        raise InsecureModel(
            f"{', '.join(insecure)}: the SRS is of no known ceremony, so whoever made it may be able to "
            f"prove anything; chain {chain_id} is no development chain (--accept-insecure-srs overrides)"
        )
    log.warning("insecure_srs", models=insecure, chain_id=chain_id, forced=chain_id not in DEVELOPMENT_CHAINS)


def insecure_models(store: ModelStore) -> list[str]:
    """Names of models whose proofs their setup's maker may be able to forge."""
    return sorted(folder.name for folder in store if folder.insecure)
