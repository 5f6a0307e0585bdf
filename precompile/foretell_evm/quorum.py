"""How several operators come to one answer: all commit before any reveals (``foretell_spec.commitment``)."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import combinations

from eth_typing import ChecksumAddress

from foretell_evm.collector import Collector, Drawn
from foretell_evm.config import Quorum
from foretell_evm.errors import EvidenceError
from foretell_spec.bundle import Bundle
from foretell_spec.commitment import Commitment, Reveal
from foretell_spec.divergence import agreed_value
from foretell_spec.operator import InferenceJob, QuorumOperator, Sealed
from foretell_spec.sidecar import Answer

Differ = Callable[[Bundle, Bundle], bool]
"""Whether two bundles' outputs are different by the rule of the model's class."""

Settle = Callable[[Sequence[Bundle]], Awaitable[Answer | None]]
"""What a quorum of these bundles agrees on, if any does."""


class QuorumRound:
    """One question to a quorum. Lives in the event loop.

    Seats go to operators in their order. A seat whose operator fails, is too slow, or does not open its
    commitment goes to the next; that of one who says something else does not, or whoever asks often enough
    would find a quorum for anything.

    Args:
        job: the question.
        quorum: seats, and how many must agree.
        patience: seconds for one step of one operator before the next one is asked too.
        accept_commitment: judges a commitment; raises ``EvidenceError``.
        accept_reveal: judges and keeps a reveal; raises ``EvidenceError``.
        trouble: where errors of operators go.
    """

    def __init__(
        self,
        job: InferenceJob,
        quorum: Quorum,
        patience: float,
        accept_commitment: Callable[[Commitment], None],
        accept_reveal: Callable[[Reveal], None],
        trouble: list[BaseException],
    ) -> None:
        self._job, self._quorum, self._patience = job, quorum, patience
        self._accept_commitment, self._accept_reveal = accept_commitment, accept_reveal
        self._trouble = trouble
        self._sealed: dict[ChecksumAddress, Sealed] = {}

    async def run(self, ranking: deque[Drawn], settle: Settle) -> tuple[Sequence[Bundle], Answer | None]:
        """Bundles of all who revealed, in their order, and what a quorum of them agrees on, if any does."""
        order = [drawn.operator.address for drawn in ranking]
        seated: list[Bundle] = []
        while True:
            seated += await self._fill(ranking, len(seated))
            seated.sort(key=lambda bundle: order.index(bundle.operator))
            answer = await settle(seated)
            if answer is not None or len(seated) == self._quorum.executors or not ranking:
                return seated, answer

    async def _fill(self, ranking: deque[Drawn], taken: int) -> list[Bundle]:
        """Fill the open seats, or as many as still make a quorum where the others are too slow."""
        enough = max(1, self._quorum.agree - taken)
        committing = Collector(self._commit, self._patience, self._trouble)
        committed = await committing.collect(ranking, self._quorum.executors - taken, enough)
        if len(committed) < enough:
            return []  # no quorum can come of it: nobody shows anything
        revealing = Collector(self._reveal, self._patience, self._trouble)
        to_reveal = deque(drawn.to_reveal for drawn in committed)
        return await revealing.collect(to_reveal, len(committed), 0)

    def _commit(self, drawn: Drawn) -> Drawn:
        operator = drawn.operator
        if not isinstance(operator, QuorumOperator):
            raise EvidenceError(f"operator {operator.address} only answers, and commits to nothing")
        sealed = operator.commit(self._job)
        commitment = sealed.commitment
        if (commitment.request_id, commitment.operator) != (self._job.request_id, operator.address):
            raise EvidenceError(
                f"operator {operator.address} committed to another question, or in another's name"
            )
        self._accept_commitment(commitment)
        self._sealed[operator.address] = sealed
        return drawn

    def _reveal(self, drawn: Drawn) -> Bundle:
        operator = drawn.operator
        sealed = self._sealed[operator.address]
        reveal = sealed.reveal()
        bundle = reveal.bundle
        if (bundle.request_id, bundle.operator) != (self._job.request_id, operator.address):
            raise EvidenceError(
                f"operator {operator.address} revealed another's answer, or to another question"
            )
        self._accept_reveal(reveal)
        if not reveal.holds or reveal.hidden != sealed.commitment.hidden:
            raise EvidenceError(f"operator {operator.address} revealed something else than it committed to")
        return bundle


def agreement(bundles: Sequence[Bundle], agree: int, differ: Differ) -> Answer | None:
    """The answer of the first largest group of bundles, ``agree`` at least, of which no two differ."""
    apart = {
        frozenset(pair)
        for pair in combinations(range(len(bundles)), 2)
        if differ(bundles[pair[0]], bundles[pair[1]])
    }
    for size in range(len(bundles), agree - 1, -1):
        for group in combinations(range(len(bundles)), size):
            if not any(frozenset(pair) in apart for pair in combinations(group, 2)):
                members = tuple(bundles[index] for index in group)
                return Answer(agreed_value([bundle.outputs for bundle in members]), members)
    return None
