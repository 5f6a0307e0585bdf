"""What a relayer leaves alone while its operator lets it take nothing new."""

from typing import Final

from foretell_relayer.core import Status, Step, StepKind, View
from foretell_relayer.records import Mode

PAUSED: Final = "the operator paused the relayer"
DRAINING: Final = "the relayer is drained: it takes nothing new"
_STAKES: Final = frozenset({StepKind.DELIVER, StepKind.DELIVER_PROVEN, StepKind.CHALLENGE})
_WORK: Final = frozenset({StepKind.INFER, StepKind.PROVE})


def withhold(step: Step, view: View, operator: str, mode: Mode, until: int) -> Step:
    """The step, or a wait where it would begin something new and nothing new is taken.

    Whatever our bond stands behind already goes on, whether paused or not: stopping there would be slashed.
    ``until`` is the chain time at which to look again.
    """
    bound = view.status in (Status.DELIVERED, Status.DISPUTED) and operator in (
        view.operator,
        view.challenger,
    )
    if mode is Mode.OPEN or bound or step.kind not in _STAKES | _WORK:
        return step
    return Step(StepKind.WAIT, PAUSED if mode is Mode.PAUSED else DRAINING, until)
