"""The command ``foretell node``: a development chain with the inference precompile, over HTTP."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

import click

from foretell_evm.chain import ForetellChain
from foretell_evm.config import DEV_MNEMONIC, ETHER, ChainConfig, Mining
from foretell_evm.rpc.http import bind, serve
from foretell_spec.addresses import (
    CIRCUIT_VERIFIER,
    MODEL_REGISTRY,
    OPERATOR_REGISTRY,
    PRECOMPILE,
    SETTLEMENT,
)

DEFAULT_PORT = 8545
Company = Callable[[ForetellChain], AbstractContextManager[None]]
"""What a chain has around it while it is served; whoever composes the command brings operators here."""


def run_node(config: ChainConfig, host: str, port: int, company: Company, folder: Path | None = None) -> None:
    """Serve a chain until interrupted: a new one, or the one that ``folder`` keeps.

    Raises:
        ServerError: the address cannot be used.
        StoreError: the folder cannot be used.
        ConfigError: the folder holds another chain.
    """
    with (
        closing(bind(host, port)) as listener,
        ForetellChain.create(config, folder=folder) as chain,
        company(chain),
    ):
        chain.mark_start()
        click.echo(_banner(chain, host, listener.getsockname()[1]))
        serve(chain, listener)


def run_follower(url: str, host: str, port: int, folder: Path | None = None) -> None:
    """Check another node's blocks as they come, and serve them, until interrupted.

    Raises:
        BlockRejected: a block breaks a rule.
        UpstreamError: the node does not answer at the start.
        ServerError: the address cannot be used.
        StoreError: the folder cannot be used.
    """
    with closing(bind(host, port)) as listener, ForetellChain.follow(url, folder) as chain:
        follower = chain.follower
        if follower is None:
            raise TypeError("a chain that follows has a follower")
        click.echo(
            f"Following {url} from block {chain.head.number} on; every block is checked, no model is run"
        )
        click.echo(f"Listening http://{host}:{listener.getsockname()[1]}  (Ctrl-C to stop)")
        serve(chain, listener, follower.stopped)
        if follower.failure is not None:
            raise follower.failure


def _banner(chain: ForetellChain, host: str, port: int) -> str:
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
        "CircuitVerifier": CIRCUIT_VERIFIER,
    }
    lines += [f"  {name:<21} {address}" for name, address in contracts.items()]
    operators = ", ".join(chain.pool.operators) or "none attached: a transaction that asks a model is refused"
    lines += [
        "",
        f"Mnemonic   {config.mnemonic}",
        f"Chain id   {config.chain_id}",
        f"Blocks     {_describe_mining(config)}",
        f"Operators  {operators}",
        f"Listening  http://{host}:{port}  (Ctrl-C to stop)",
    ]
    return "\n".join(lines)


def _describe_mining(config: ChainConfig) -> str:
    if config.mining is Mining.INTERVAL:
        return f"every {config.block_time:g} seconds"
    return "as soon as a transaction is ready" if config.mining is Mining.AUTO else "on demand"


@click.command("node")
@click.option("--host", default="127.0.0.1", show_default=True, help="Interface to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535))
@click.option("--block-time", type=click.FloatRange(min=0, min_open=True), help="Seconds between blocks.")
@click.option("--no-mining", is_flag=True, help="Make blocks on evm_mine and anvil_mine alone.")
@click.option("--chain-id", default=31337, show_default=True, type=click.IntRange(1, 2**63))
@click.option("--mnemonic", default=DEV_MNEMONIC, help="Words that the accounts derive from.")
@click.option("--accounts", default=10, show_default=True, type=click.IntRange(1, 100))
def node(host: str, port: int, **chain: Any) -> None:
    """Run a development chain with the inference precompile."""
    run_node(chain_config(**chain), host, port, lambda _: nullcontext())


def chain_config(
    *, block_time: float | None, no_mining: bool, chain_id: int, mnemonic: str, accounts: int
) -> ChainConfig:
    """The chain that the options of ``node`` describe."""
    mining = Mining.MANUAL if no_mining else Mining.AUTO if block_time is None else Mining.INTERVAL
    return ChainConfig(
        chain_id=chain_id, mnemonic=mnemonic, accounts=accounts, mining=mining, block_time=block_time or 12.0
    )
