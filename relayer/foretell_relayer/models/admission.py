"""Whether a model may be served here: nothing of it answers anybody before this has been passed.

Passed means: every file is the one that the manifest vouches for; graph, operators and sizes are of its
class; and on the folder's own samples the circuit agrees with ONNX Runtime within the declared tolerance, or
the graph with itself in each way to run it. All of that happens in child processes with walls around them.
"""

import json
from importlib.metadata import version
from typing import Final

import structlog
from pydantic_core import from_json

from foretell_relayer.models import profile
from foretell_relayer.models.check import Checked, check_folder
from foretell_relayer.models.folder import CircuitFolder, ModelFolder
from foretell_relayer.models.store import CircuitCache
from foretell_relayer.prove.circuit import EZKL_VERSION

log = structlog.get_logger(__name__)

RULES: Final = 1
"""Grows when the rules do, so that what passed the old ones is looked at again."""


def admit(folder: ModelFolder, cache: CircuitCache) -> Checked | None:
    """Check a model, once for a machine and its versions; returns what was found, ``None`` where it had been
    admitted before.

    Raises:
        ModelError: it is not admitted; the leaf says why.
        ProveError: EZKL could not answer.
    """
    stamp = cache.root / f"{folder.model_id.hex()}.admitted"
    conditions = _conditions(folder)
    try:
        if from_json(stamp.read_bytes()) == conditions:
            return None
    except (OSError, ValueError):
        pass
    checked = check_folder(folder.path, lambda _: None, prove=False, cache=cache)
    log.info(
        "model_admitted",
        model=folder.name,
        model_id="0x" + folder.model_id.hex(),
        samples=checked.samples,
        error=checked.error,
        tolerance=checked.tolerance,
    )
    cache.root.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps(conditions))
    return checked


def _conditions(folder: ModelFolder) -> dict[str, str]:
    """Under what a model was admitted: its id binds its files, and these are what runs them."""
    runtimes = {profile.NAME: version(profile.NAME)}
    if isinstance(folder, CircuitFolder):
        runtimes["ezkl"] = EZKL_VERSION
    return {"rules": str(RULES), **runtimes}
