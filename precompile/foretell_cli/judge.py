"""``foretell judge``: operators contradict each other; run the model again, and say who deviated."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from foretell_evm.upstream import Upstream
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.bundle import Bundle
from foretell_spec.errors import SpecError
from foretell_spec.request import precompile_request_id
from foretell_spec.sidecar import Dissent

if TYPE_CHECKING:
    from foretell_relayer.judge import Judge
    from foretell_relayer.models.folder import ModelFolder

_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("judge")
@click.option("--rpc", required=True, metavar="URL", help="The node that knows of the dissents.")
@click.option("--model", "models", multiple=True, required=True, type=_FOLDER, help="A model's folder.")
@click.option("--block", type=click.IntRange(0), help="Judge a block's dissents.  [default: the pool's]")
def judge(rpc: str, models: tuple[Path, ...], block: int | None) -> None:
    """Run models again where operators contradict each other, and say who deviated.

    What an operator may say depends on the model's class: the same bits (circuit, integer), a value within
    the tolerance (float), tokens that the seed admits (seeded). Operators cannot contradict each other about
    an open model. Claims whose request, input or signature cannot be right are told and not judged; whose
    key it was that signed is the node's word, which `foretell verify` checks.

    \b
    Example:
      foretell judge --rpc http://127.0.0.1:8545 --model models/mine
    """
    from foretell_relayer.judge import Judge
    from foretell_relayer.models.store import ModelStore

    store = ModelStore(models)
    with Upstream(rpc) as upstream, Judge(store) as judging:
        chain_id = upstream.chain_id()
        found = upstream.dissents() if block is None else upstream.block(block)[1].dissents
        ours = [each for each in found if each.first.model_id in store]
        for dissent in ours:
            _show(dissent, store.get(dissent.first.model_id), judging, chain_id)
    others = len(found) - len(ours)
    click.echo(f"{len(ours)} judged" + (f", {others} about other models" if others else ""))


def _show(dissent: Dissent, folder: "ModelFolder", judging: "Judge", chain_id: int) -> None:
    click.echo(f"{folder.name}: request 0x{dissent.request_id.hex()}")
    claims = (dissent.first, dissent.second)
    troubles = [_trouble(claim, folder, chain_id) for claim in claims]
    if any(troubles):
        verdicts, stands = [trouble or "not judged" for trouble in troubles], None
    else:
        found = judging.judge(dissent)
        verdicts = [f"deviated: {fault}" if fault else "as the model says" for fault in found.faults]
        stands = found.stands
    for claim, verdict in zip(claims, verdicts, strict=True):
        click.echo(f"  {claim.operator}  {_numbers(claim.outputs)}  {verdict}")
    if stands is not None:
        click.echo(f"  stands: {_numbers(stands)}")


def _trouble(claim: Bundle, folder: "ModelFolder", chain_id: int) -> str | None:
    expected = precompile_request_id(chain_id, claim.model_id, claim.input_hash, claim.seed)
    if claim.request_id != expected:
        return "its request does not follow from model, input and seed"
    try:
        folder.manifest.admit(claim.inputs)
        claim.signer(chain_id, PRECOMPILE)
    except SpecError as error:
        return f"it does not hold: {error}"
    return None


def _numbers(outputs: tuple[int, ...]) -> str:
    shown = " ".join(str(q) for q in outputs[:8])
    return shown + (f" ... ({len(outputs)})" if len(outputs) > 8 else "")
