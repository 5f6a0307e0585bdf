"""``foretell relay``, and what it tells about its requests: ``foretell status`` and ``foretell why``."""

import asyncio
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from foretell_relayer.records import Row
    from foretell_relayer.service import RelayService
    from foretell_relayer.store import Journal

INTERRUPTED: Final = 130
_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
_JOURNAL: Final = click.option(
    "--journal", type=_FILE, default=Path("relay.sqlite3"), envvar="FORETELL_RELAY_JOURNAL",
    show_default=True, help="The relayer's journal (SQLite).",
)  # fmt: skip


@click.command()
@click.option("--rpc", metavar="URL", help="JSON-RPC of the chain.  [default: http://127.0.0.1:8545]")
@click.option("--settlement", metavar="ADDRESS", help="Settlement contract.  [default: the fork's own]")
@click.option("--operator", metavar="ADDRESS", help="Bonded account.  [default: the key's address]")
@click.option("--keystore", type=_FILE, help="Encrypted keystore (version 3) of the operator's signer.")
@click.option("--password-file", type=_FILE, help="File with its password.  [default: ask]")
@click.option("--dev-key", is_flag=True, default=None, help="Use the key that development chains fund.")
@click.option(
    "--model", "models", type=_FOLDER, multiple=True, help="Folder of a model to serve; repeatable."
)
@click.option("--journal", type=_FILE, help="SQLite file to remember in.  [default: relay.sqlite3]")
@click.option("--from-block", type=int, help="First block to read.  [default: 0]")
@click.option("--confirmations", type=int, help="Depth from which a block counts.  [default: 1]")
@click.option("--poll", type=float, metavar="SECONDS", help="Pause between looks at the chain.  [default: 1]")
@click.option("--prove-all", is_flag=True, default=None, help="Prove every delivery, not only those in use.")
@click.option(
    "--accept-insecure-srs", is_flag=True, default=None,
    help="Serve models whose SRS was made on one machine, on any chain.",
)  # fmt: skip
@click.option("--max-fee-gwei", type=float, help="Ceiling of the fee per gas.  [default: 500]")
@click.option("--tip-gwei", type=float, help="Priority fee per gas.  [default: 1]")
@click.option(
    "--bump-after", type=float, metavar="SECONDS",
    help="Age at which a waiting transaction is replaced by one that offers more.  [default: 30]",
)  # fmt: skip
@click.option("--grace", type=float, metavar="SECONDS", help="Time to finish in when stopped.  [default: 10]")
@click.option("--metrics-port", type=int, help="Serve Prometheus metrics on this local port.")
def relay(**given: Any) -> None:
    """Answer the requests of a Settlement contract, with proofs.

    Delivers signed outputs of the models it serves, proves them where that is owed or useful, challenges
    wrong outputs of others, and remembers everything in a journal: stop it, kill it, start it again.

    Each option is also read from the environment, as FORETELL_RELAY_<NAME>; a password from
    FORETELL_RELAY_PASSWORD.
    """
    from foretell_relayer.config import load_settings
    from foretell_relayer.service import RelayService

    settings = load_settings(**given)
    ended_by = asyncio.run(_relay(RelayService(settings, prompt=_ask_password, on_ready=_say_ready)))
    click.echo("Relayer stopped; its journal is complete.", err=True)
    if ended_by is signal.SIGINT:
        click.get_current_context().exit(INTERRUPTED)


async def _relay(service: "RelayService") -> signal.Signals | None:
    """Run the service until it ends; returns the signal that ended it."""
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        received.append(number)
        service.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        await service.run()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return received[0] if received else None


def _ask_password(question: str) -> str:
    answer: str = click.prompt(question, hide_input=True, err=True)
    return answer


def _say_ready() -> None:
    click.echo("Relaying. Ctrl-C stops.", err=True)


@click.command()
@_JOURNAL
def status(journal: Path) -> None:
    """Show what a relayer's journal holds."""
    with _existing(journal) as opened:
        for name, value in opened.identity_values().items():
            click.echo(f"{name.replace('_', ' '):12} {value}")
        counts = ", ".join(f"{number} {name}" for name, number in sorted(opened.counts().items()))
        click.echo(f"{'requests':12} {counts or 'none'}")
        for row in opened.rows():
            click.echo(f"{row.label}  {row.outcome or row.step:14}  {row.why}")


@click.command()
@click.argument("request")
@_JOURNAL
def why(request: str, journal: Path) -> None:
    """Tell the story of a REQUEST: what was seen, decided, signed and sent, and what is next.

    REQUEST is the request's id, or the beginning of it.
    """
    with _existing(journal) as opened:
        row = _find(opened, request)
        click.echo(f"request  {row.label}")
        click.echo(f"model    0x{row.found.model_id.hex()}")
        click.echo(f"now      {row.outcome or row.step}: {row.why}")
        for entry in opened.history(row.request_id):
            at = datetime.fromtimestamp(entry.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
            click.echo(f"{at}  {entry.what:16} {entry.detail}")


def _existing(journal: Path) -> "Journal":
    from foretell_relayer.store import Journal

    if not journal.is_file():
        raise click.BadParameter(f"{journal}: no such journal", param_hint="--journal")
    return Journal.open(journal)


def _find(journal: "Journal", prefix: str) -> "Row":
    found = [row for row in journal.rows(limit=1_000_000) if row.label.startswith(prefix.lower())]
    if len(found) != 1:
        raise click.BadParameter("no such request" if not found else f"{len(found)} requests begin like this")
    return found[0]
