"""Does ``settings.json`` describe the circuit that the manifest promises?

The hash in the manifest says only that the publisher chose this file. A publisher who hides weights or scales
in it could have proofs accepted that say nothing about the model, so what it means is compared, too.
"""

import math
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from foretell_relayer.models import documents
from foretell_relayer.models.documents import Circuit
from foretell_relayer.models.errors import BadFolder
from foretell_spec.manifest import Manifest

_VISIBILITY: Final = {
    "input_visibility": "Public",
    "output_visibility": "Public",
    "param_visibility": "Fixed",
}
"""Inputs and outputs are a proof's instances; fixed weights are part of the verifying key."""

_SHARED: Final = (
    "input_scale",
    "param_scale",
    "logrows",
    "decomp_base",
    "decomp_legs",
    "num_inner_cols",
    "lookup_range",
    "scale_rebase_multiplier",
)


class _RunArgs(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    input_scale: int
    param_scale: int
    logrows: int
    decomp_base: int
    decomp_legs: int
    num_inner_cols: int
    lookup_range: list[int]
    scale_rebase_multiplier: int
    input_visibility: str
    output_visibility: str
    param_visibility: str


class _Settings(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, protected_namespaces=())

    run_args: _RunArgs
    model_instance_shapes: list[list[int]]
    model_input_scales: list[int]
    model_output_scales: list[int]


def check(path: Path, manifest: Manifest, circuit: Circuit) -> None:
    """Compare the settings file at ``path`` with what manifest and metadata say.

    Raises:
        BadFolder: it is malformed, or describes another circuit.
    """
    settings = documents.read(path, _Settings)
    sizes = [math.prod(shape) for shape in settings.model_instance_shapes]
    _same(sizes, [manifest.input_size, manifest.output_size], path, "the sizes")
    _same(settings.model_input_scales, [manifest.input_scale], path, "the input's scale")
    _same(settings.model_output_scales, [manifest.output_scale], path, "the output's scale")
    for name, value in _VISIBILITY.items():
        _same(getattr(settings.run_args, name), value, path, name)
        _same(getattr(circuit, name), value.lower(), path, name)
    for name in _SHARED:
        _same(getattr(settings.run_args, name), getattr(circuit, name), path, name)


def _same(found: object, stated: object, path: Path, what: str) -> None:
    if found != stated:
        raise BadFolder(f"{path}: {what}: {found}, where the model needs {stated}")
