"""Whether the engines agree on a case, and the smallest case on which they do not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from eth.abc import StateAPI

from tests.conformance import revm
from tests.conformance.cases import Case, Outcome
from tests.conformance.eels import Eels
from tests.conformance.engines import FORK_OFF, FORK_ON, STOCK
from tests.conformance.generate import OURS
from tests.conformance.mended import MENDED


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two engines that do not agree, and on what."""

    engines: str
    first: object
    second: object


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison found. ``known``: stock py-evm differs from the others as documented."""

    disagreement: Disagreement | None = None
    known: bool = False


AGREED = Verdict()


def with_stock(case: Case) -> Verdict:
    """Compare the fork with stock py-evm.

    A case whose programs may call our address runs with it switched off; and switched on, nothing is written
    there, since the case has no models.
    """
    return _fork_against(case, STOCK.run(case))


def _fork_against(case: Case, stock: Outcome) -> Verdict:
    if not case.ours:
        on = FORK_ON.run(case)
        return AGREED if on == stock else Verdict(Disagreement("stock py-evm and the fork", stock, on))
    off = FORK_OFF.run(case)
    if stock != off:
        return Verdict(Disagreement("stock py-evm and the fork with its addresses off", stock, off))
    _, state = FORK_ON.run_with_state(case)
    written = (state.get_nonce(OURS), state.get_code(OURS), revm.Facts.of(state, OURS).slots)
    nothing = (0, b"", (0,) * len(revm.SLOTS))
    return (
        AGREED
        if written == nothing
        else Verdict(Disagreement("our address before and after", nothing, written))
    )


def with_eels(case: Case, eels: Eels) -> Verdict:
    """Compare the fork with stock py-evm, and stock py-evm with the specification."""
    eels.start(case)
    stock = STOCK.run(case)
    verdict = _fork_against(case, stock)
    specified = eels.finish()
    if verdict.disagreement is not None or stock == specified:
        return verdict
    mended = MENDED.run(case)
    if mended == specified:
        return Verdict(known=True)
    return Verdict(Disagreement("EELS and py-evm", specified, mended))


def with_revm(case: Case) -> Verdict:
    """Compare the fork with stock py-evm, and that with revm; the case is a simple one."""
    stock, state = STOCK.run_with_state(case)
    verdict = _fork_against(case, stock)
    if verdict.disagreement is not None or _differs_from_revm(case, stock, state) is None:
        return verdict
    found = _differs_from_revm(case, *MENDED.run_with_state(case))
    return Verdict(found, known=found is None)


def _differs_from_revm(case: Case, outcome: Outcome, state: StateAPI) -> Disagreement | None:
    (execution,) = outcome.executions
    if not execution.valid:
        return None  # pyrevm checks no transactions
    theirs, facts = revm.run(case)
    ours = {address: revm.Facts.of(state, address) for address in facts}
    if execution != theirs:
        return Disagreement("py-evm and revm", execution, theirs)
    different = {address.hex() for address in facts if ours[address] != facts[address]}
    return Disagreement(f"py-evm and revm on the accounts {different}", ours, facts) if different else None


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """A case that still fails, and none of whose simplifications does."""
    while True:
        simpler = next((each for each in _simpler(case) if fails(each)), None)
        if simpler is None:
            return case
        case = simpler


def _simpler(case: Case) -> Iterator[Case]:
    for index in range(len(case.transactions)):
        if len(case.transactions) > 1:
            yield case.without(transaction=index)
    for address, account in case.accounts.items():
        yield case.without(account=address)
        for size in (0, len(account.code) // 4 * 2, len(account.code) - 2):
            if 0 <= size < len(account.code):
                yield case.with_code(address, account.code[:size])
