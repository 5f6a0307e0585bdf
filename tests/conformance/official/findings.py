"""What the official tests found: a line for each test, and a table of how many."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

Json = Any


class Result(Enum):
    """``KNOWN``: the fork is as stock py-evm is, which departs from Ethereum as docs/conformance.md lists."""

    PASSED = "passed"
    KNOWN = "known"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One test. ``reason`` says why it was skipped, or what it expected and what it got."""

    kind: str
    name: str
    result: Result
    reason: str = ""


def expect(kind: str, name: str, expected: object, got: object) -> Finding:
    """The finding of one comparison."""
    if expected == got:
        return Finding(kind, name, Result.PASSED)
    return Finding(kind, name, Result.FAILED, f"expected {expected}, got {got}")


def skip(kind: str, name: str, reason: str) -> Finding:
    """A test that says nothing about the fork."""
    return Finding(kind, name, Result.SKIPPED, reason)


def table(findings: Iterable[Finding]) -> Iterator[str]:
    """Lines: what failed, how many of each kind ended how, and why some were skipped."""
    counts: dict[str, Counter[Result]] = {}
    skipped: Counter[str] = Counter()
    for each in findings:
        counts.setdefault(each.kind, Counter())[each.result] += 1
        if each.result is Result.FAILED:
            yield f"FAILED {each.kind}: {each.name}: {each.reason}"
        if each.result is Result.SKIPPED:
            skipped[each.reason] += 1
    yield f"{'':34}" + "".join(f"{result.value:>9}" for result in Result)
    for kind, found in sorted(counts.items()):
        yield f"{kind:34}" + "".join(f"{found[result]:>9}" for result in Result)
    for reason, count in skipped.most_common():
        yield f"skipped {count}: {reason}"
