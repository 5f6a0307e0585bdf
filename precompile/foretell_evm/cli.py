"""The command ``foretell node``: a development chain with the inference precompile, over HTTP."""

from collections.abc import Callable
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
Attach = Callable[[ForetellChain], None]
"""Called with the new chain before it is served: whoever composes the command attaches operators here."""


def run_node(config: ChainConfig, host: str, port: int, attach: Attach | None = None) -> None:
    """Serve a new chain until interrupted.

    Raises:
        ServerError: the address cannot be used.
    """
    listener = bind(host, port)
    with ForetellChain.create(config) as chain:
        if attach is not None:
            attach(chain)
        click.echo(_banner(chain, host, listener.getsockname()[1]))
        serve(chain, listener)


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
    run_node(chain_config(**chain), host, port)


def chain_config(
    *, block_time: float | None, no_mining: bool, chain_id: int, mnemonic: str, accounts: int
) -> ChainConfig:
    """The chain that the options of ``node`` describe."""
    mining = Mining.MANUAL if no_mining else Mining.AUTO if block_time is None else Mining.INTERVAL
    return ChainConfig(
        chain_id=chain_id, mnemonic=mnemonic, accounts=accounts, mining=mining, block_time=block_time or 12.0
    )
