"""The command ``foretell node``: a development chain with the inference precompile, over HTTP."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from foretell_evm.accounts import DERIVATION_PATH
from foretell_evm.chain import ForetellChain
from foretell_evm.config import DEV_MNEMONIC, ETHER, GWEI, MIN_GAS_LIMIT, ChainConfig, Mining
from foretell_evm.opengradient import addresses
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_evm.opengradient.settings import read_settings
from foretell_evm.rpc.callers import Callers
from foretell_evm.rpc.http import bind, serve
from foretell_spec.addresses import (
    CIRCUIT_VERIFIER,
    DISPUTES,
    MODEL_REGISTRY,
    OPERATOR_REGISTRY,
    PRECOMPILE,
    SETTLEMENT,
)

DEFAULT_PORT = 8545
DEFAULTS: Final = ""
"""Value of ``--opengradient`` without a file."""

Company = Callable[[ForetellChain], AbstractContextManager[None]]
"""What a chain has around it while it is served; whoever composes the command brings operators here."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a node listens, to whom it answers, and what it says at the start."""

    host: str
    port: int
    callers: Callers = field(default_factory=Callers)
    quiet: bool = False
    config_out: Path | None = None


def run_node(config: ChainConfig, doors: Doors, company: Company, folder: Path | None = None) -> None:
    """Serve a chain until interrupted: a new one, or the one that ``folder`` keeps.

    Raises:
        ServerError: the address cannot be used.
        StoreError: the folder cannot be used.
        ConfigError: the folder holds another chain.
    """
    with (
        closing(bind(doors.host, doors.port)) as listener,
        ForetellChain.create(config, folder=folder) as chain,
        company(chain),
    ):
        chain.mark_start()
        chain.readmit()
        url = _url(doors.host, listener.getsockname()[1])
        if doors.config_out is not None:
            _write_config(chain, doors.config_out)
        click.echo(url if doors.quiet else _banner(chain, url))
        serve(chain, listener, callers=doors.callers)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _write_config(chain: ForetellChain, path: Path) -> None:
    """What anvil writes with ``--config-out``, under its names."""
    config = chain.config
    described = {
        "available_accounts": [account.address for account in chain.accounts],
        "private_keys": [str(account.key) for account in chain.accounts],
        "wallet": {"derivation_path": DERIVATION_PATH, "mnemonic": config.mnemonic},
        "base_fee": str(config.base_fee),
        "gas_limit": str(config.gas_limit),
        "gas_price": str(config.base_fee + GWEI),
        "genesis_timestamp": str(config.genesis_time),
    }
    path.write_text(json.dumps(described, indent=2) + "\n")


def run_follower(url: str, doors: Doors, folder: Path | None = None) -> None:
    """Check another node's blocks as they come, and serve them, until interrupted.

    Raises:
        BlockRejected: a block breaks a rule.
        UpstreamError: the node does not answer at the start.
        ServerError: the address cannot be used.
        StoreError: the folder cannot be used.
    """
    with closing(bind(doors.host, doors.port)) as listener, ForetellChain.follow(url, folder) as chain:
        follower = chain.follower
        if follower is None:
            raise TypeError("a chain that follows has a follower")
        click.echo(
            f"Following {url} from block {chain.head.number} on; every block is checked, no model is run"
        )
        click.echo(f"Listening {_url(doors.host, listener.getsockname()[1])}  (Ctrl-C to stop)")
        serve(chain, listener, follower.stopped, doors.callers)
        if follower.failure is not None:
            raise follower.failure


def _banner(chain: ForetellChain, url: str) -> str:
    config = chain.config
    lines = ["Accounts (keys are public; for development only)"]
    for index, account in enumerate(chain.accounts):
        lines.append(f"  ({index}) {account.address}  {config.balance / ETHER:g} ETH  key {account.key}")
    lines += ["", "Contracts"]
    contracts = {
        "inference precompile": PRECOMPILE,
        "ModelRegistry": MODEL_REGISTRY,
        "OperatorRegistry": OPERATOR_REGISTRY,
        "Settlement": SETTLEMENT,
        "Disputes": DISPUTES,
        "CircuitVerifier": CIRCUIT_VERIFIER,
    }
    if config.opengradient is not None:
        contracts |= {"OpenGradient hub": addresses.HUB, "OpenGradient scheduler": addresses.SCHEDULER}
    lines += [f"  {name:<22} {address}" for name, address in contracts.items()]
    operators = ", ".join(chain.pool.operators) or "none attached: a transaction that asks a model is refused"
    lines += [
        "",
        f"Mnemonic   {config.mnemonic}",
        f"Chain id   {config.chain_id}",
        f"Blocks     {_describe_mining(config)}",
        f"Operators  {operators}",
        f"Listening  {url}  (Ctrl-C to stop)",
    ]
    return "\n".join(lines)


def _describe_mining(config: ChainConfig) -> str:
    if config.mining is Mining.INTERVAL:
        return f"every {config.block_time:g} seconds"
    return "as soon as a transaction is ready" if config.mining is Mining.AUTO else "on demand"


@click.command("node")
@click.option("--host", default="127.0.0.1", show_default=True, help="Interface to listen on.")
@click.option("--port", "-p", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--allow-origin", "origins", multiple=True, metavar="URL",
    help="Answer pages of this origin as well, * of any; may be repeated.  [default: pages of this machine]",
)  # fmt: skip
@click.option(
    "--allow-host", "names", multiple=True, metavar="NAME",
    help="Go by this name as well, * by any; may be repeated.  [default: localhost, and every address]",
)  # fmt: skip
@click.option("--quiet", "--silent", "-q", is_flag=True, help="Print the URL alone at the start.")
@click.option(
    "--config-out", type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write accounts and keys into this file, as anvil does.",
)  # fmt: skip
@click.option(
    "--block-time", "-b", type=click.FloatRange(min=0, min_open=True), help="Seconds between blocks."
)
@click.option("--no-mining", is_flag=True, help="Make blocks on evm_mine and anvil_mine alone.")
@click.option("--chain-id", default=31337, show_default=True, type=click.IntRange(1, 2**63))
@click.option("--mnemonic", "-m", default=DEV_MNEMONIC, help="Words that the accounts derive from.")
@click.option("--accounts", "-a", default=10, show_default=True, type=click.IntRange(1, 100))
@click.option(
    "--balance", default=10_000, show_default=True, type=click.IntRange(0, 10**9), help="ETH of each."
)
@click.option(
    "--gas-limit", default=30_000_000, show_default=True, type=click.IntRange(MIN_GAS_LIMIT, 2**63),
    help="Of a block.",
)  # fmt: skip
@click.option(
    "--base-fee", "--block-base-fee-per-gas", default=GWEI, show_default=True, type=click.IntRange(0, 2**63),
    help="Of block 0, in wei.",
)  # fmt: skip
@click.option("--timestamp", type=click.IntRange(0, 2**63), help="Time of block 0.  [default: now]")
@click.option(
    "--opengradient", is_flag=False, flag_value=DEFAULTS, metavar="[FILE]",
    help="Serve OpenGradient's interface, as a TOML file says (docs/guides/opengradient.md).",
)  # fmt: skip
def node(**options: Any) -> None:
    """Run a development chain with the inference precompile."""
    doors = take_doors(options)
    run_node(chain_config(**options), doors, lambda _: nullcontext())


def take_doors(options: dict[str, Any]) -> Doors:
    """What the options of ``node`` say of its doors; these are taken out of ``options``."""
    origins, names = options.pop("origins"), options.pop("names")
    callers = Callers(frozenset(origins), frozenset(name.lower() for name in names))
    taken = {name: options.pop(name) for name in ("host", "port", "quiet", "config_out")}
    return Doors(callers=callers, **taken)


def chain_config(
    *,
    block_time: float | None,
    no_mining: bool,
    balance: int,
    timestamp: int | None,
    opengradient: str | None,
    **options: Any,
) -> ChainConfig:
    """The chain that the options of ``node`` describe.

    Raises:
        ConfigError: the mnemonic is none, or the file with OpenGradient's settings holds none.
        click.UsageError: options that contradict each other.
    """
    if no_mining and block_time is not None:
        raise click.UsageError("--block-time does not go with --no-mining")
    mining = Mining.MANUAL if no_mining else Mining.AUTO if block_time is None else Mining.INTERVAL
    return ChainConfig(
        mining=mining,
        block_time=block_time or 12.0,
        balance=balance * ETHER,
        genesis_time=timestamp,
        opengradient=_opengradient(opengradient),
        **options,
    )


def _opengradient(file: str | None) -> OpenGradientConfig | None:
    if file is None:
        return None
    return OpenGradientConfig() if file == DEFAULTS else read_settings(Path(file))
