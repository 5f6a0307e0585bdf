"""Write docs/errors.md: every error code, what it means and what to do, from the classes themselves.

python -m scripts.build_error_docs           write the file
python -m scripts.build_error_docs --check   compare it with what would be written
"""

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from foretell_relayer.operate import reasons

FILE: Final = Path(__file__).parent.parent / "docs" / "errors.md"
MODULES: Final = (
    "foretell_cli.devnet",
    "foretell_evm.errors",
    "foretell_relayer.deploy",
    "foretell_relayer.errors",
    "foretell_relayer.models.errors",
    "foretell_relayer.operate.errors",
    "foretell_relayer.prove.errors",
)
REASONS_HEAD: Final = """
## Why a request stands where it stands

`foretell why REQUEST` and the relayer's page name one of these.

| code | because | next | what to do |
|---|---|---|---|
"""
HEAD: Final = """# Error codes

Each error that an operator or a user sees has a code, in the message, in logs and in the relayer's journal.
`C` comes from the command line, `E` from the chain, `R` from the relayer and its models.
This page is written by `python -m scripts.build_error_docs`.

Why the precompile refuses a call, or a transaction never gets into a block, is told by a reason:
see [the precompile](spec/precompile.md#failures).

| code | name | meaning | what to do |
|---|---|---|---|
"""


def errors() -> Iterator[tuple[str, type[object]]]:
    """Codes and classes of all leaves that have a code of their own."""
    for name in MODULES:
        for _, kind in inspect.getmembers(import_module(name), inspect.isclass):
            code = vars(kind).get("code")
            if kind.__module__ == name and isinstance(code, str) and not code.endswith("000"):
                yield code, kind


def page() -> str:
    """The file's text."""
    rows = [
        f"| `{code}` | `{kind.__name__}` | {_first_sentence(kind)} | {vars(kind).get('hint') or ''} |\n"
        for code, kind in sorted(errors(), key=lambda pair: pair[0])
    ]
    return HEAD + "".join(rows) + REASONS_HEAD + "".join(_reasons())


def _reasons() -> Iterator[str]:
    for each in (*reasons.EXPLANATIONS, reasons.HELD_UP, reasons.UNKNOWN):
        text = each.text or "it was seen, and not decided yet"
        yield f"| `{each.code}` | {text} | {each.next} | {each.remedy} |\n"


def _first_sentence(kind: type[object]) -> str:
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write or check the file; the exit status."""
    if "--check" not in arguments:
        FILE.write_text(page())
        return 0
    if FILE.read_text() != page():
        print(f"{FILE.name} is not current: run python -m scripts.build_error_docs")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
