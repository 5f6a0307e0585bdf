"""``foretell relay``. What operators ask of it while it runs is in ``operate.cli``."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from foretell_relayer.service import RelayService

INTERRUPTED: Final = 130
_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option(
    "--config", type=_FILE, envvar="FORETELL_RELAY_CONFIG", help="Settings file; `foretell init` writes one."
)
@click.option(
    "--rpc", metavar="URL",
    help="JSON-RPC of the chain; several with commas between them.  [default: http://127.0.0.1:8545]",
)  # fmt: skip
@click.option("--settlement", metavar="ADDRESS", help="Settlement contract.  [default: the fork's own]")
@click.option("--operator", metavar="ADDRESS", help="Bonded account.  [default: the key's address]")
@click.option("--keystore", type=_FILE, help="Encrypted keystore (version 3) of the operator's signer.")
@click.option("--password-file", type=_FILE, help="File with its password.  [default: ask]")
@click.option("--remote-signer", metavar="URL", help="web3signer that holds the signer's key.")
@click.option("--remote-address", metavar="ADDRESS", help="Address of that key.")
@click.option("--dev-key", is_flag=True, default=None, help="Use the key that development chains fund.")
@click.option(
    "--model", "models", type=_FOLDER, multiple=True, help="Folder of a model to serve; repeatable."
)
@click.option("--journal", type=_FILE, help="SQLite file to remember in.  [default: relay.sqlite3]")
@click.option(
    "--database", metavar="URL",
    help="PostgreSQL database to remember in, instead of a file; better in a file or the environment.",
)  # fmt: skip
@click.option(
    "--keep-days", type=float, help="Time after which closed requests are forgotten.  [default: 30]"
)
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
@click.option(
    "--only-profitable", is_flag=True, default=None, help="Take no request that pays less than it costs."
)
@click.option(
    "--proof-cost-gwei", type=float, help="What a proof costs us, in gwei of its request's fee.  [default: 0]"
)
@click.option(
    "--bond-rate", type=float,
    help="What a locked bond costs in a year, as a part of it.  [default: 0.05]",
)  # fmt: skip
@click.option(
    "--breaker-after", type=int,
    help="Requests in a row that fail here before new work is left alone.  [default: 5]",
)  # fmt: skip
@click.option(
    "--breaker-pause", type=float, metavar="SECONDS",
    help="Pause after which one request is tried then.  [default: 60]",
)  # fmt: skip
@click.option("--grace", type=float, metavar="SECONDS", help="Time to finish in when stopped.  [default: 10]")
@click.option(
    "--prove-margin", type=int, metavar="SECONDS",
    help="Time before a deadline from which a signed delivery does not wait for its proof.  [default: 60]",
)  # fmt: skip
@click.option(
    "--rpc-timeout", type=float, metavar="SECONDS", help="Longest wait for an answer.  [default: 20]"
)
@click.option(
    "--http", metavar="[HOST:]PORT",
    help="Serve the page, /metrics, /healthz and /readyz here; on the loopback unless HOST says otherwise.",
)  # fmt: skip
@click.option(
    "--http-name", "http_names", multiple=True, metavar="NAME",
    help="Further name by which browsers and scrapers may call that server; repeatable.",
)  # fmt: skip
@click.option(
    "--least-ether", type=float, help="Balance below which it is not ready and alarms.  [default: 0.05]"
)
def relay(**given: Any) -> None:
    """Answer the requests of a Settlement contract, with proofs.

    Delivers signed outputs of the models it serves, proves them where that is owed or useful, challenges
    wrong outputs of others, and remembers everything in a journal: stop it, kill it, start it again.

    Each option is also read from the environment, as FORETELL_RELAY_<NAME>, and from the file that --config
    names; a password from FORETELL_RELAY_PASSWORD.
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
