"""House rules for Vyper sources, above all the constructs that the pinned compiler translates wrongly.

Each rule has a sample that breaks it in tests/unit/lint. Where a rule names a CVE, vyper 0.4.3 has the fault
and no release without it exists.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vyper.ast import nodes as ast
from vyper.ast import parse_to_ast

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
PRECOMPILE = "0x00000000000000000000000000000000f07e7e11"
PUBLISHED_REASONS = "contracts/opengradient/TaskScheduler.vy"
"""Reverts with the reasons that somebody else's interface has."""

OWN_CODE = {"Settlement.vy": "disputes"}
"""Contracts that run the code of another one, and the immutable that names it (ADR 11)."""

LINE_LENGTH = 120

_PINNED, _MODULE = "# pragma version 0.4.3", "# pragma version ~=0.4.3"
_REASON = re.compile(r"^[a-z_]+: [a-z0-9].*[^.]$")
_CALLS_OUT = (ast.ExtCall, ast.StaticCall)


@dataclass(frozen=True)
class Source:
    """A parsed file; ``kind`` is deployable, module, interface or mock."""

    path: Path
    text: str
    kind: str
    tree: Any

    def nodes(self, kind: Any) -> list[Any]:
        """All AST nodes of a class or tuple of classes."""
        found: list[Any] = self.tree.get_descendants(kind)
        return found

    @property
    def functions(self) -> list[Any]:
        """All functions."""
        return self.nodes(ast.FunctionDef)


@dataclass(frozen=True)
class Finding:
    """One broken rule."""

    path: Path
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


Problems = Iterator[tuple[int, str]]
Rule = Callable[[Source], Problems]


def ascii_only(source: Source) -> Problems:
    """CVE-2026-114114, -114116: other characters shift source spans, and so what the compiler looks up."""
    for number, line in enumerate(source.text.split("\n"), 1):
        if not all(" " <= character <= "~" for character in line):
            yield number, "only printable ASCII and line feeds"
        if len(line) > LINE_LENGTH and '"' not in line:
            yield number, f"line over {LINE_LENGTH} characters"


def exact_version(source: Source) -> Problems:
    """A deployable is for the pinned compiler alone; modules and interfaces may go with its patches."""
    expected = _PINNED if source.kind in ("deployable", "mock") else _MODULE
    if source.text.split("\n", 1)[0] != expected:
        yield 1, f"first line must be {expected!r}"


def legacy_codegen(source: Source) -> Problems:
    """The Venom pipeline has many open faults in 0.4.3."""
    for number, line in enumerate(source.text.split("\n"), 1):
        if re.match(r"#\s*pragma\s+experimental", line):
            yield number, "no experimental code generation"


def no_ternary(source: Source) -> Problems:
    """CVE-2026-114117 (`|` with msg.value in a branch), -114115 (nested arrays): both need a ternary."""
    for node in source.nodes(ast.IfExp):
        yield node.lineno, "no ternary expressions: use if and else"


def constant_code_offset(source: Source) -> Problems:
    """CVE-2026-114118: a large offset wraps around and deploys empty code."""
    for call in _builtin_calls(source, "create_from_blueprint"):
        offset = _keyword(call, "code_offset")
        if offset is not None and not isinstance(offset, ast.Int):
            yield call.lineno, "code_offset must be a literal"


def bounded_raw_call(source: Source) -> Problems:
    """Says what gas the callee gets and how much it may return; never runs foreign code in our context."""
    for call in _builtin_calls(source, "raw_call"):
        for name in ("gas", "max_outsize"):
            if _keyword(call, name) is None:
                yield call.lineno, f"raw_call without {name}"
        target = call.args[0]
        own = isinstance(target, ast.Name) and OWN_CODE.get(source.path.name) == target.id
        if _keyword(call, "is_delegate_call") is not None and not own:
            yield call.lineno, "no delegate calls"
    for name in ("selfdestruct", "send", "create_from_blueprint", "raw_create"):
        for call in _builtin_calls(source, name):
            if name != "create_from_blueprint":
                yield call.lineno, f"no {name}"


def gas_for_strangers(source: Source) -> Problems:
    """A typed call of an address that the caller chose says how much gas it gets."""
    for node in source.nodes(ast.ExtCall):
        function = node.get_ancestor(ast.FunctionDef)
        chosen = {argument.arg for argument in function.args.args} if function is not None else set()
        target = node.value.func.value
        if not isinstance(target, ast.Call) or len(target.args) != 1:
            continue
        address = target.args[0]
        named = isinstance(address, ast.Name) and address.id in chosen
        if (named or _is_attribute(address, "msg", "sender")) and _keyword(node.value, "gas") is None:
            yield node.lineno, "extcall of a caller-chosen address without gas"


def no_tx_origin(source: Source) -> Problems:
    """An origin proves nothing about who calls."""
    for node in source.nodes(ast.Attribute):
        if _is_attribute(node, "tx", "origin"):
            yield node.lineno, "no tx.origin"


def no_exact_time(source: Source) -> Problems:
    """Nobody controls the exact second of a block but its builder."""
    for node in source.nodes(ast.Compare):
        timed = any(_is_attribute(side, "block", "timestamp") for side in (node.left, node.right))
        if timed and isinstance(node.op, (ast.Eq, ast.NotEq)):
            yield node.lineno, "block.timestamp compared for equality"


def no_call_in_augmented_assignment(source: Source) -> Problems:
    """The target is read before the call, so that what the call changes is lost (as in CVE-2025-27105)."""
    for node in source.nodes(ast.AugAssign):
        calls = node.value.get_descendants(_CALLS_OUT, include_self=True)
        raw = [
            c for c in node.value.get_descendants(ast.Call, include_self=True) if _name_of(c) == "raw_call"
        ]
        if calls or raw:
            yield node.lineno, "augmented assignment from a call: use a local variable"


def reentrancy_pragma(source: Source) -> Problems:
    """Deployables lock every function but those that say otherwise; modules leave that to them."""
    on, off = "# pragma nonreentrancy on", "# pragma nonreentrancy off"
    if source.kind == "module" and off not in source.text:
        yield 1, f"module without {off!r}"
    if source.kind == "deployable" and on not in source.text:
        externals = [f for f in source.functions if "external" in _decorators(f)]
        if off not in source.text or any(not {"view", "pure"} & _decorators(f) for f in externals):
            yield 1, f"deployable without {on!r}"


def reasons(source: Source) -> Problems:
    """Whoever reverts says which module and why: '<module>: <lowercase reason>'."""
    if source.kind == "mock" or source.path.as_posix() == PUBLISHED_REASONS:
        return
    for node in source.nodes((ast.Assert, ast.Raise)):
        message = node.msg if isinstance(node, ast.Assert) else node.exc
        if not isinstance(message, ast.Str) or not _REASON.match(message.value):
            yield node.lineno, "reason must be '<module>: <lowercase reason>'"


def one_precompile_address(source: Source) -> Problems:
    """lib/inference.vy alone knows where the precompile is."""
    if source.path.as_posix().endswith("lib/inference.vy"):
        return
    for number, line in enumerate(source.text.split("\n"), 1):
        if PRECOMPILE in line.lower():
            yield number, "the precompile's address belongs to lib/inference.vy"


def documented_externals(source: Source) -> Problems:
    """Users read what a function does in its interface."""
    if source.kind != "deployable":
        return
    for function in source.functions:
        text = getattr(function, "doc_string", None)
        documented = text is not None and "@notice" in text.value
        if "external" in _decorators(function) and function.name != "__default__" and not documented:
            yield function.lineno, f"{function.name} has no @notice"


RULES: tuple[Rule, ...] = (
    ascii_only, exact_version, legacy_codegen, no_ternary, constant_code_offset, bounded_raw_call,
    gas_for_strangers, no_tx_origin, no_exact_time, no_call_in_augmented_assignment, reentrancy_pragma,
    reasons, one_precompile_address, documented_externals,
)  # fmt: skip


def _decorators(function: Any) -> set[str]:
    return {node.id for node in function.decorator_list if isinstance(node, ast.Name)}


def _name_of(call: Any) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _builtin_calls(source: Source, name: str) -> list[Any]:
    return [call for call in source.nodes(ast.Call) if _name_of(call) == name]


def _keyword(call: Any, name: str) -> Any:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _is_attribute(node: Any, base: str, name: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) == (base, name)
    )


def kind_of(path: Path) -> str:
    """Kind of a file by its place below ``contracts/``."""
    if path.suffix == ".vyi":
        return "interface"
    return {"lib": "module", "mocks": "mock"}.get(path.parent.name, "deployable")


def lint(path: Path, text: str) -> list[Finding]:
    """All findings in one file; ``path`` decides its kind."""
    broken = [
        Finding(path, line, "ascii_only", message)
        for line, message in ascii_only(Source(path, text, "", None))
    ]
    if broken:
        return broken
    kind = kind_of(path)
    source = Source(path, text, kind, parse_to_ast(text, is_interface=kind == "interface"))
    return [Finding(path, line, rule.__name__, message) for rule in RULES for line, message in rule(source)]


def main() -> int:
    """Command line: lints all of ``contracts/``."""
    files = sorted([*CONTRACTS.rglob("*.vy"), *CONTRACTS.rglob("*.vyi")])
    findings = [
        finding
        for file in files
        for finding in lint(file.relative_to(ROOT), file.read_text(encoding="utf-8"))
    ]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
