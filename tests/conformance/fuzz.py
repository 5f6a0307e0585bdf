"""The differential fuzz: ``python -m tests.conformance.fuzz --transactions 10000 --eels PYTHON``.

It prints its seed; a case on which two engines disagree is made small and kept for ``--replay``.
"""

import argparse
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.conformance.cases import Case
from tests.conformance.compare import Verdict, smallest, with_eels, with_revm, with_stock
from tests.conformance.eels import Eels
from tests.conformance.generate import generate

Compare = Callable[[Case], Verdict]
_SEEDS = 2**31
_TOLD = 1_000
"""Transactions between two lines that say how far it is."""
_WITH_OURS = 4
"""Every so many cases may call our addresses."""


def complex_cases(seed: int) -> Iterator[Case]:
    """All that EELS can be asked."""
    number = seed
    while True:
        yield generate(number, ours=number % _WITH_OURS == 0)
        number += 1


def simple_cases(seed: int) -> Iterator[Case]:
    """What revm can be asked."""
    number = seed
    while True:
        yield generate(number, simple=True)
        number += 1


def fuzz(name: str, cases: Iterator[Case], compare: Compare, transactions: int, out: Path) -> bool:
    """Compare until so many transactions have run; whether all engines agreed."""
    counts: Counter[str] = Counter()
    started, told = time.monotonic(), 0
    while counts["transactions"] < transactions:
        if counts["transactions"] // _TOLD > told:
            told = counts["transactions"] // _TOLD
            print(f"{name}: {told * _TOLD} of {transactions} transactions", flush=True)
        case = next(cases)
        verdict = compare(case)
        counts["cases"] += 1
        counts["transactions"] += len(case.transactions)
        counts["known divergences"] += verdict.known
        if verdict.disagreement is not None:
            counts["disagreements"] += 1
            _keep(case, compare, out)
    seconds = time.monotonic() - started
    print(
        f"{name}: " + ", ".join(f"{count} {what}" for what, count in counts.items()) + f" in {seconds:.0f} s"
    )
    return not counts["disagreements"]


def _keep(case: Case, compare: Compare, out: Path) -> None:
    small = smallest(case, lambda each: compare(each).disagreement is not None)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"case-{case.seed}.json"
    path.write_text(json.dumps(small.to_json(), indent=1) + "\n")
    print(f"disagreement on seed {case.seed}, kept in {path}: {compare(small).disagreement}")


def main() -> int:
    """The exit code: 1 where engines disagree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=10_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=None, help="number of the first case")
    parser.add_argument("--eels", type=Path, default=None, help="a Python that has ethereum-execution")
    parser.add_argument("--out", type=Path, default=Path("out/conformance"), help="where failing cases go")
    parser.add_argument("--replay", type=Path, default=None, help="compare one kept case alone")
    given = parser.parse_args()
    if given.eels is None:
        return _run(given, with_stock)
    with Eels(given.eels) as eels:
        return _run(given, lambda case: with_eels(case, eels))


def _run(given: argparse.Namespace, compare: Compare) -> int:
    if given.replay is not None:
        case = Case.from_json(json.loads(given.replay.read_text()))
        found = compare(case).disagreement
        print(found or "all agree")
        return int(found is not None)
    seed = secrets.randbelow(_SEEDS) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    with_whom = "EELS and stock py-evm" if given.eels else "stock py-evm"
    agreed = [
        fuzz(f"the fork, {with_whom}", complex_cases(seed), compare, given.transactions, given.out),
        fuzz("the fork, revm and stock py-evm", simple_cases(seed), with_revm, given.transactions, given.out),
    ]
    return int(not all(agreed))


if __name__ == "__main__":
    sys.exit(main())
