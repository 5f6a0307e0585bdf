"""What operators have said: answers, dissents and broken reveals, by request. Thread-safe, bounded."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from foretell_spec.bundle import Bundle
from foretell_spec.commitment import Reveal
from foretell_spec.sidecar import Answer, Dissent

Conflict = Callable[[Bundle, Bundle], bool]
"""Whether two bundles for one request cannot both be right, by the rule of the model's class."""

_BROKEN_REVEALS: Final = 1024


@dataclass(slots=True)
class _Page:
    """What was said about one request."""

    bundles: list[Bundle] = field(default_factory=list)
    agreed: list[Answer] = field(default_factory=list)
    dissents: list[Dissent] = field(default_factory=list)

    def dispute(self, bundle: Bundle, conflict: Conflict) -> None:
        """Pair a bundle with the first kept one that it contradicts."""
        for other in self.bundles:
            if other.outputs != bundle.outputs and conflict(other, bundle):
                dissent = Dissent(other, bundle)
                if dissent.claims not in {each.claims for each in self.dissents}:
                    self.dissents.append(dissent)
                return


class AnswerBook:
    """Keeps what was said about the latest ``limit`` requests; a dissent goes only with its whole request."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._pages: OrderedDict[bytes, _Page] = OrderedDict()
        self._broken: deque[Reveal] = deque(maxlen=_BROKEN_REVEALS)

    def keep(self, bundle: Bundle, conflict: Conflict) -> None:
        """Keep a bundle whose evidence holds, and a dissent where it contradicts another."""
        with self._lock:
            page = self._page(bundle.request_id)
            page.dispute(bundle, conflict)
            if bundle.hash not in {each.hash for each in page.bundles}:
                page.bundles.append(bundle)

    def keep_agreed(self, answer: Answer) -> None:
        """Keep an answer on which a quorum agrees."""
        with self._lock:
            page = self._page(answer.request_id)
            if answer.hash not in {each.hash for each in page.agreed}:
                page.agreed.append(answer)

    def keep_broken(self, reveal: Reveal) -> None:
        """Keep a signed reveal that does not open the commitment that it names: evidence of fault."""
        with self._lock:
            self._broken.append(reveal)

    def _page(self, request_id: bytes) -> _Page:
        page = self._pages.setdefault(request_id, _Page())
        self._pages.move_to_end(request_id)
        if len(self._pages) > self._limit:
            self._pages.popitem(last=False)
        return page

    def answers(self, request_id: bytes) -> Sequence[Answer]:
        """Usable answers, the weakest first; after a dissent no answer of a single signature."""
        with self._lock:
            page = self._pages.get(request_id, _Page())
            signed = [Answer.of(bundle) for bundle in page.bundles if not bundle.proof]
            proven = [Answer.of(bundle) for bundle in page.bundles if bundle.proof]
            return [*([] if page.dissents else signed), *page.agreed, *proven]

    def is_disputed(self, request_id: bytes) -> bool:
        """Whether operators have contradicted each other about a request."""
        with self._lock:
            return bool(self._pages.get(request_id, _Page()).dissents)

    def dissents(self, request_ids: Iterable[bytes] | None = None) -> tuple[Dissent, ...]:
        """Contradictions about some requests, or about all."""
        with self._lock:
            wanted = list(self._pages) if request_ids is None else request_ids
            return tuple(dissent for each in wanted for dissent in self._pages.get(each, _Page()).dissents)

    @property
    def broken_reveals(self) -> tuple[Reveal, ...]:
        """The latest signed reveals that do not open the commitment that they name."""
        with self._lock:
            return tuple(self._broken)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._pages.clear()
            self._broken.clear()
