"""An operator's commands: ``init``, ``doctor``, ``status``, ``why``, and orders to a running relayer."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from foretell_relayer.cli import relay

if TYPE_CHECKING:
    from foretell_relayer.operate.story import Story
    from foretell_relayer.records import Order
    from foretell_relayer.store import Journal

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_ANSWER_SECONDS: Final = 30.0
_LOOK_EVERY: Final = 0.1


def _with_journal(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name a relayer's journal."""
    journal = click.option(
        "--journal", type=_FILE, envvar="FORETELL_RELAY_JOURNAL",
        help="The relayer's journal.  [default: what --config says, else relay.sqlite3]",
    )  # fmt: skip
    config = click.option(
        "--config", type=_FILE, envvar="FORETELL_RELAY_CONFIG", help="The relayer's settings file."
    )
    database = click.option(
        "--database", metavar="URL", envvar="FORETELL_RELAY_DATABASE",
        help="The database of its journal, where it is in none of these files.",
    )  # fmt: skip

    @functools.wraps(command)
    def with_where(
        *arguments: Any, config: Path | None, journal: Path | None, database: str | None, **options: Any
    ) -> Any:
        from foretell_relayer.config import journal_of

        return command(*arguments, where=journal_of(config, journal, database), **options)

    return config(journal(database(with_where)))


@contextmanager
def _opened(where: Path | str) -> Iterator["Journal"]:
    from foretell_relayer.store import Journal

    if isinstance(where, Path) and not where.is_file():
        raise click.BadParameter(f"{where}: no such journal", param_hint="--journal")
    with Journal.open(where) as opened:
        yield opened


@click.command()
@_with_journal
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Requests to list.")
def status(where: Path | str, limit: int) -> None:
    """Show what a relayer is doing, and what its journal holds."""
    from foretell_relayer.operate import reasons

    with _opened(where) as opened:
        running = "running" if opened.is_held() else "not running"
        _line("relayer", f"{running}, intake {opened.mode().value}")
        for name, value in opened.identity_values().items():
            _line(name.replace("_", " "), value)
        counts = ", ".join(f"{number} {name}" for name, number in sorted(opened.counts().items()))
        _line("requests", counts or "none")
        sums = opened.sums()
        _line("earned", f"{sums.earned / 10**18:.6f} ether of fees in {sums.ours} requests")
        _line("spent", f"{sums.spent / 10**18:.6f} ether, {sums.gas:,} gas, {sums.transactions} transactions")
        for row in opened.rows(limit):
            code = reasons.explain(row.why).code
            click.echo(f"{row.label}  {row.outcome or row.step:14}  {code}  {row.why}")


@click.command()
@click.argument("request")
@_with_journal
def why(request: str, where: Path | str) -> None:
    """Tell the story of a REQUEST: where it is, since when, why, what comes next, what to do.

    REQUEST is the request's id, or the beginning of it. Codes are explained in docs/errors.md.
    """
    from foretell_relayer.operate import story

    with _opened(where) as opened:
        _tell(story.tell(opened, story.find(opened, request)))


def _tell(told: "Story") -> None:
    row, found = told.row, told.row.found
    _line("request", row.label)
    _line("model", "0x" + found.model_id.hex())
    asked = found.min_assurance.name + (", shown early" if found.provisional or found.from_receipt else "")
    _line("asked for", f"{asked}, in block {found.block_number}, by {found.requester}")
    if not found.from_receipt:
        _line("deadline", f"{_time(found.deadline)} (chain time)")
    _line("fee", f"{found.fee / 10**18:.6f} ether, {found.value_at_risk / 10**18:.6f} at risk")
    _line("now", f"{told.now} since {_time(told.since)}")
    _line("because", f"{told.explanation.code}: {row.why or 'it was seen'}")
    _line("next", told.explanation.next)
    if told.mishap is not None:
        _line("last error", f"{_time(told.mishap.at)}  {told.mishap.text}")
    _line("to do", told.remedy)
    click.echo()
    for entry in told.history:
        click.echo(f"{_time(entry.at)}  {entry.what:16} {entry.detail}")
    for attempt in told.attempts:
        cost = told.costs.get(attempt.tx_hash)
        price = "" if cost is None else f", {cost.gas:,} gas, {cost.wei / 10**18:.6f} ether"
        click.echo(f"0x{attempt.tx_hash.hex()}  {attempt.action}, {attempt.state.value}{price}")


# ------------------------------------------------------------------------------------------------ orders


@click.command()
@_with_journal
def pause(where: Path | str) -> None:
    """Take nothing new; go on with what our bond stands behind.

    A restart does not forget it. `foretell resume` ends it.
    """
    _order("pause", "", where)


@click.command()
@_with_journal
def resume(where: Path | str) -> None:
    """Take requests again, after `pause` or `drain`."""
    _order("resume", "", where)


@click.command()
@_with_journal
def drain(where: Path | str) -> None:
    """Take nothing new, and end the relayer when none of our bond is at stake any longer."""
    _order("drain", "", where)


@click.command()
@click.argument("request")
@_with_journal
def replay(request: str, where: Path | str) -> None:
    """Begin again with a REQUEST: run its model, prove and decide anew, whatever failed before.

    REQUEST is the request's id, or the beginning of it.
    """
    from foretell_relayer.operate import story

    with _opened(where) as opened:
        request_id = story.find(opened, request).request_id
    _order("replay", request_id.hex(), where)


@click.command()
@_with_journal
def withdraw(where: Path | str) -> None:
    """Draw what the operator earned out of Settlement, to the operator's account."""
    _order("withdraw", "", where)


def _order(name: str, argument: str, where: Path | str) -> None:
    from foretell_relayer.operate.errors import NoAnswer, NotRunning, OrderRefused
    from foretell_relayer.records import OrderKind

    kind = OrderKind(name)
    with _opened(where) as opened:
        running = opened.is_held()
        if not running and kind in (OrderKind.DRAIN, OrderKind.WITHDRAW):
            raise NotRunning(f"no relayer works on this journal, so nothing can {name}")
        order_id = opened.give(kind, argument)
        if not running:
            click.echo("No relayer works on this journal now; the next one does this when it starts.")
            return
        answer = _await(opened, order_id)
    if answer is None:
        raise NoAnswer(f"the relayer did not answer within {_ANSWER_SECONDS:g} s")
    if not answer.done:
        raise OrderRefused(answer.answer)
    click.echo(f"{name}: {answer.answer}")


def _await(journal: "Journal", order_id: int) -> "Order | None":
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        order = journal.order(order_id)
        if order is None or order.done is not None:
            return order
        time.sleep(_LOOK_EVERY)
    return None


# ------------------------------------------------------------------------------------------------ set-up


@click.command("init", params=[each for each in relay.params if each.name != "config"])
@click.option("--out", type=_FILE, default=Path("relay.toml"), show_default=True, help="The file to write.")
@click.option("--replace", is_flag=True, help="Overwrite a file that is there.")
def init(out: Path, replace: bool, **given: Any) -> None:
    """Write a settings file for a relayer, with a comment on each setting.

    Takes the options of `foretell relay`; what is given is set in the file, the rest stands there with its
    default. Nothing is written that `relay` would not accept.

    \b
    Example:
      foretell init --rpc https://node.example --keystore signer.json --model models/volatility
    """
    from foretell_relayer.operate.template import write

    write(out, given, replace=replace)
    click.echo(f"wrote {out}\nNext: foretell doctor --config {out}")


@click.command("doctor", params=[*relay.params])
@click.option("--prove/--no-prove", default=True, show_default=True, help="Prove a sample of each circuit.")
def doctor(prove: bool, **given: Any) -> None:
    """Check what a relayer needs, and say what to mend.

    Takes the options of `foretell relay`. Looks at chain, clock, disk, key, bond, trusted setup, models and
    proving speed; changes nothing, and may run beside the relayer.
    """
    import asyncio

    from rich.console import Console

    from foretell_relayer.config import load_settings
    from foretell_relayer.operate.doctor import Examination, Verdict
    from foretell_relayer.operate.errors import Unwell

    settings = load_settings(**given)
    console = Console(highlight=False, soft_wrap=True)
    failed = 0
    examination = Examination(settings, prompt=_ask_password, prove=prove)

    def show(finding: Any) -> None:
        nonlocal failed
        failed += finding.verdict is Verdict.FAIL
        console.print(f"{finding.verdict.value:4}  {finding.subject:10} {finding.text}", markup=False)
        if finding.remedy:
            console.print(f"{'':17}{finding.remedy}", markup=False)

    asyncio.run(examination.run(show))
    if failed:
        raise Unwell(f"{failed} of these keep the relayer from earning")


def _ask_password(question: str) -> str:
    answer: str = click.prompt(question, hide_input=True, err=True)
    return answer


def _line(name: str, value: str) -> None:
    click.echo(f"{name:12} {value}")


def _time(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"second {at:.0f}"
