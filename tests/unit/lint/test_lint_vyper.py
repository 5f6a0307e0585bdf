"""Every rule has a sample that breaks it, and a clean file breaks none."""

from pathlib import Path

import pytest

from scripts.lint_vyper import CONTRACTS, LINE_LENGTH, PRECOMPILE, RULES, lint

DEPLOYABLE, MODULE = Path("contracts/Sample.vy"), Path("contracts/lib/sample.vy")
HEADER = "# pragma version 0.4.3\n# pragma nonreentrancy on\n"
MODULE_HEADER = "# pragma version ~=0.4.3\n# pragma nonreentrancy off\n"

CLEAN = (
    HEADER
    + '''
interface Other:
    def act(): nonpayable

@external
@payable
def act(other: address, amount: uint256):
    """
    @notice Act.
    """
    assert amount > 0, "sample: nothing to do"
    assert block.timestamp > 5, "sample: too early"
    extcall Other(other).act(gas=50_000)
    raw_call(other, b"", value=amount, gas=msg.gas, max_outsize=0)
'''
)


TEMPLATE = (
    HEADER
    + '''
interface Other:
    def act() -> uint256: nonpayable

stored: uint256

@external
@payable
def act(x: uint256, other: address):
    """
    @notice Act.
    """
    BODY
'''
)


def external(body: str) -> str:
    return TEMPLATE.replace("BODY", body)


BAD = [
    ("ascii_only", DEPLOYABLE, CLEAN.replace("Act.", "Act\u2028.")),
    ("ascii_only", DEPLOYABLE, CLEAN.replace("Act.", "\u00c4ct.")),
    ("ascii_only", DEPLOYABLE, "\ufeff" + CLEAN),
    ("ascii_only", DEPLOYABLE, CLEAN.replace("\n", "\r\n")),
    ("ascii_only", DEPLOYABLE, CLEAN.replace("    assert", "\tassert")),
    ("ascii_only", DEPLOYABLE, CLEAN + "# " + "x" * LINE_LENGTH + "\n"),
    ("exact_version", DEPLOYABLE, CLEAN.replace("version 0.4.3", "version ~=0.4.3")),
    ("exact_version", DEPLOYABLE, CLEAN.replace("# pragma version 0.4.3\n", "")),
    ("exact_version", MODULE, MODULE_HEADER.replace("~=", "")),
    ("exact_version", Path("contracts/interfaces/ISample.vyi"), "# pragma version ~=0.4\n"),
    ("exact_version", Path("contracts/mocks/Mock.vy"), "# pragma version ~=0.4.3\n"),
    ("legacy_codegen", DEPLOYABLE, CLEAN.replace(HEADER, HEADER + "# pragma experimental-codegen\n")),
    ("no_ternary", DEPLOYABLE, external("self.stored = (msg.value | 8) if x > 1 else 5")),
    ("no_ternary", DEPLOYABLE, external("self.stored = 1 if x > 1 else 5")),
    (
        "constant_code_offset",
        DEPLOYABLE,
        external("a: address = create_from_blueprint(other, code_offset=x)"),
    ),
    ("bounded_raw_call", DEPLOYABLE, external('raw_call(other, b"", max_outsize=0)')),
    ("bounded_raw_call", DEPLOYABLE, external('raw_call(other, b"", gas=msg.gas)')),
    (
        "bounded_raw_call",
        DEPLOYABLE,
        external('raw_call(other, b"", gas=msg.gas, max_outsize=0, is_delegate_call=True)'),
    ),
    ("bounded_raw_call", DEPLOYABLE, external("send(other, x)")),
    ("bounded_raw_call", DEPLOYABLE, external("selfdestruct(other)")),
    ("bounded_raw_call", DEPLOYABLE, external('a: address = raw_create(b"")')),
    ("gas_for_strangers", DEPLOYABLE, external("y: uint256 = extcall Other(other).act()")),
    ("gas_for_strangers", DEPLOYABLE, external("y: uint256 = extcall Other(msg.sender).act()")),
    ("no_tx_origin", DEPLOYABLE, external('assert tx.origin == other, "sample: not the origin"')),
    ("no_exact_time", DEPLOYABLE, external('assert block.timestamp == x, "sample: not now"')),
    ("no_exact_time", DEPLOYABLE, external('assert x != block.timestamp, "sample: not now"')),
    ("no_call_in_augmented_assignment", DEPLOYABLE, external("self.stored += extcall Other(self).act()")),
    (
        "no_call_in_augmented_assignment",
        DEPLOYABLE,
        external("self.stored += 1 + staticcall Other(self).act()"),
    ),
    (
        "no_call_in_augmented_assignment",
        DEPLOYABLE,
        external('self.stored += len(raw_call(self, b"", gas=msg.gas, max_outsize=32))'),
    ),
    ("reentrancy_pragma", DEPLOYABLE, CLEAN.replace("# pragma nonreentrancy on\n", "")),
    ("reentrancy_pragma", DEPLOYABLE, CLEAN.replace("nonreentrancy on", "nonreentrancy off")),
    ("reentrancy_pragma", MODULE, "# pragma version ~=0.4.3\n"),
    ("reasons", DEPLOYABLE, external("assert x > 0")),
    ("reasons", DEPLOYABLE, external('assert x > 0, "nothing"')),
    ("reasons", DEPLOYABLE, external('assert x > 0, "sample: Nothing"')),
    ("reasons", DEPLOYABLE, external('assert x > 0, "sample: nothing."')),
    ("reasons", DEPLOYABLE, external("raise")),
    ("reasons", MODULE, MODULE_HEADER + "\n@internal\ndef act(x: uint256):\n    assert x > 0\n"),
    ("one_precompile_address", DEPLOYABLE, external(f"x_: address = {PRECOMPILE[:-8]}f07e7E11")),
    ("documented_externals", DEPLOYABLE, CLEAN.replace("@notice", "@dev")),
    ("documented_externals", DEPLOYABLE, HEADER + "\n@external\ndef act():\n    pass\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD, ids=[f"{i} {bad[0]}" for i, bad in enumerate(BAD)])
def test_lint__bad_sample__is_found(rule: str, path: Path, text: str) -> None:
    assert rule in {finding.rule for finding in lint(path, text)}


def test_lint__every_rule__has_a_bad_sample() -> None:
    assert {rule.__name__ for rule in RULES} == {rule for rule, _, _ in BAD}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (DEPLOYABLE, CLEAN),
        (MODULE, MODULE_HEADER + '\n@internal\ndef act(x: uint256):\n    assert x > 0, "sample: nothing"\n'),
        (DEPLOYABLE, external("a: address = create_from_blueprint(other, code_offset=3)")),
        (DEPLOYABLE, HEADER + "\n@external\n@payable\ndef __default__():\n    pass\n"),
        (
            Path("contracts/verifiers/Sample.vy"),
            HEADER.replace("nonreentrancy on", "nonreentrancy off")
            + '\n@external\n@view\ndef act():\n    """\n    @notice Act.\n    """\n    pass\n',
        ),
        (
            Path("contracts/mocks/Mock.vy"),
            "# pragma version 0.4.3\n\n@external\ndef act(x: uint256):\n    assert x > 0\n",
        ),
        (
            Path("contracts/lib/inference.vy"),
            MODULE_HEADER + f"\nX: constant(address) = {PRECOMPILE[:-8]}f07e7E11\n",
        ),
    ],
)
def test_lint__clean_sample__has_no_findings(path: Path, text: str) -> None:
    assert lint(path, text) == []


def test_lint__finding__names_file_line_and_rule() -> None:
    (finding,) = lint(DEPLOYABLE, external("assert x > 0"))
    line = external("assert x > 0").split("\n").index("    assert x > 0") + 1
    assert (
        str(finding) == f"contracts/Sample.vy:{line}: reasons: reason must be '<module>: <lowercase reason>'"
    )


def test_lint__this_projects_contracts__have_no_findings() -> None:
    files = [*CONTRACTS.rglob("*.vy"), *CONTRACTS.rglob("*.vyi")]
    assert len(files) > 20
    for file in files:
        relative = file.relative_to(CONTRACTS.parent)
        assert lint(relative, file.read_text(encoding="utf-8")) == []
