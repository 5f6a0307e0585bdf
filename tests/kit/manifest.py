"""The model of most tests: its circuit adds its two inputs up (``mocks/SumVerifier.vy`` checks that)."""

from typing import Any

from eth_utils import keccak

from foretell_spec.divergence import DeterminismClass
from foretell_spec.manifest import ZERO_HASH, Manifest
from foretell_spec.tensor import WAD

SCALE = 7
CHALLENGE_WINDOW = 3600
PROOF_WINDOW = 1800


def adding_manifest(**fields: Any) -> Manifest:
    """A valid manifest; publisher and the verifier's code hash have to be given, other fields may be."""
    values: dict[str, Any] = {
        "determinism": DeterminismClass.CIRCUIT,
        "metadata_hash": keccak(text="metadata"),
        "input_size": 2,
        "output_size": 1,
        "input_scale": SCALE,
        "output_scale": SCALE,
        "input_min": -1000 << SCALE,
        "input_max": 1000 << SCALE,
        "tolerance": WAD // 100,
        "challenge_window": CHALLENGE_WINDOW,
        "proof_window": PROOF_WINDOW,
    }
    return Manifest(**{**values, **fields})


def without_circuit(determinism: DeterminismClass) -> dict[str, Any]:
    """The fields in which a manifest of another class than ``CIRCUIT`` differs."""
    fields: dict[str, Any] = {"determinism": determinism, "verifier_code_hash": ZERO_HASH}
    if determinism is DeterminismClass.SEEDED:
        fields |= {"input_scale": 0, "output_scale": 0}
    return fields
