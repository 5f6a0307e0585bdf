"""``foretell verify``: check another node's chain, and tell in a table what was checked and how."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table

from foretell_evm.errors import ConfigError, UnknownBlock
from foretell_evm.resolution import CheckedAnswer
from foretell_evm.upstream import Upstream
from foretell_evm.verification import Verification, VerifiedBlock
from foretell_spec.assurance import Assurance

CHECKS = (
    ("header", "each field follows from the parent; the hash is the announced one"),
    ("sidecar", "its root is the header's extra data; each answer is used, once, in order"),
    ("evidence", "signatures against OperatorRegistry, proofs by CircuitVerifier, in the parent state"),
    ("execution", "state root, receipts, logs and gas are what running the transactions gives"),
)
"""What holds for each block that is listed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The blocks to show; ``last`` is ``None`` for the head."""

    first: int
    last: int | None
    transaction: str | None = None


@click.command("verify")
@click.argument("what", default="0-", metavar="[TX|BLOCK|RANGE]")
@click.option("--rpc", required=True, metavar="URL", help="The node to check.")
@click.option("--genesis", metavar="HASH", help="Hash that block 0 must have.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line a block.")
def verify(what: str, rpc: str, genesis: str | None, as_json: bool) -> None:
    """Check a node's blocks and the answers of models in them, without any model.

    Starts at block 0 and believes nothing that the node says: each block up to the last one named is executed
    here, with the answers of its sidecar, after their evidence was checked. Exits 1 at the first block that
    breaks a rule, and names the rule.

    \b
    Examples:
      foretell verify --rpc http://127.0.0.1:8545             every block
      foretell verify 12 --rpc http://127.0.0.1:8545          block 12
      foretell verify 12-40 --rpc http://127.0.0.1:8545       blocks 12 to 40
      foretell verify 0x5d0a... --rpc http://127.0.0.1:8545   the block of a transaction
    """
    with Upstream(rpc) as upstream:
        wanted = _wanted(what, upstream)
        verification = Verification(upstream, _hash(genesis) if genesis else None)
        last = upstream.head() if wanted.last is None else wanted.last
        blocks = _shown(verification, wanted, last)
        if as_json:
            for block in blocks:
                click.echo(to_json(_block_json(block)))
        else:
            _tell(verification, wanted, last, blocks)


def _wanted(what: str, upstream: Upstream) -> Wanted:
    if re.fullmatch(r"0x[0-9a-fA-F]{64}", what):
        number = upstream.block_of(what)
        if number is None:
            raise UnknownBlock(f"{upstream.url} has no transaction {what} in a block")
        return Wanted(number, number, what.lower())
    found = re.fullmatch(r"(\d{1,18})(-(\d{1,18})?)?", what)
    if found is None:
        raise click.BadParameter(f"{what!r} is no transaction hash, block number or range such as 12-40")
    first = int(found[1])
    last = None if found[2] == "-" else int(found[3] or first)
    if last is not None and last < first:
        raise click.BadParameter(f"{what!r}: the range is upside down")
    head = upstream.head()
    if max(first, last or 0) > head:
        raise UnknownBlock(f"{upstream.url} has no block {max(first, last or 0)}; its head is {head}")
    return Wanted(first, last)


def _hash(text: str) -> bytes:
    if not re.fullmatch(r"0x[0-9a-fA-F]{64}", text):
        raise ConfigError(f"--genesis: {text!r} is no hash of 32 bytes")
    return bytes.fromhex(text[2:])


def _shown(verification: Verification, wanted: Wanted, last: int) -> Iterator[VerifiedBlock]:
    found = wanted.transaction is None
    for block in verification.up_to(last):
        if block.number >= wanted.first:
            found = found or wanted.transaction in {"0x" + each.hex() for each in block.transactions}
            if found:
                yield block
    # Behind the loop, so that it holds for a block that is not there as well, as block 0 is not.
    if not found:
        raise UnknownBlock(f"block {wanted.first} does not hold {wanted.transaction}: the node is wrong")


def _tell(verification: Verification, wanted: Wanted, last: int, blocks: Iterator[VerifiedBlock]) -> None:
    console = Console()
    table = Table("block", "hash", "transactions", "gas", "answers", "dissents", box=None)
    count = 0
    with console.status("verifying ..."):
        for block in blocks:
            count += 1
            table.add_row(
                str(block.number),
                _short(block.hash),
                str(len(block.transactions)),
                f"{block.gas_used:,}",
                "\n".join(_answer_line(answer) for answer in block.answers) or "none",
                str(block.dissents),
            )
    console.print(f"genesis 0x{verification.genesis.hex()}", highlight=False, soft_wrap=True)
    console.print(table)
    for name, meaning in CHECKS:
        console.print(f"  {name:<10} {meaning}", highlight=False)
    which = f"transaction {wanted.transaction} is in block {wanted.first}; " if wanted.transaction else ""
    console.print(
        f"{which}{last} blocks from genesis on hold, {count} shown; no model was run", highlight=False
    )


def _answer_line(checked: CheckedAnswer) -> str:
    bundle = checked.answer.lead
    how = {Assurance.PROVEN: "proof verified", Assurance.SIGNED: "signature checked"}
    means = how.get(checked.assurance, f"{len(checked.answer.bundles)} signatures checked")
    model, operator = _short(bundle.model_id), _short_text(bundle.operator)
    return f"{checked.assurance.name} model {model} operator {operator}, {means}"


def _short(value: bytes) -> str:
    return _short_text("0x" + value.hex())


def _short_text(text: str) -> str:
    return f"{text[:8]}..{text[-4:]}"


def _block_json(block: VerifiedBlock) -> dict[str, Any]:
    return {
        "number": block.number,
        "hash": "0x" + block.hash.hex(),
        "gasUsed": block.gas_used,
        "transactions": ["0x" + each.hex() for each in block.transactions],
        "answers": [
            {
                "requestId": "0x" + checked.answer.request_id.hex(),
                "modelId": "0x" + checked.answer.lead.model_id.hex(),
                "operators": [bundle.operator for bundle in checked.answer.bundles],
                "assurance": checked.assurance.name,
            }
            for checked in block.answers
        ],
        "dissents": block.dissents,
    }
