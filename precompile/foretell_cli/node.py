"""``foretell node``: the fork's development chain, with operators in its process that answer for models."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from foretell_evm import cli as fork

if TYPE_CHECKING:
    from foretell_cli.devnet import Devnet
    from foretell_evm.chain import ForetellChain

MODELS_FOLDER: Final = Path("models")


@click.command("node", params=[*fork.node.params])
@click.option(
    "--model", "models", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Model folder to register; may be repeated.  [default: every model in models/]",
)  # fmt: skip
@click.option(
    "--operators", default=2, show_default=True, type=click.IntRange(0, 16),
    help="Operators that answer; without any, no models are registered.",
)  # fmt: skip
def node(models: tuple[Path, ...], operators: int, host: str, port: int, **chain: Any) -> None:
    """Run a development chain whose contracts can call your models.

    Serves Ethereum's JSON-RPC as anvil does, with the inference precompile, the system contracts, and
    bonded operators in this process. Everything is in memory.

    \b
    Example:
      foretell node --model models/volatility --port 8545
    """
    config = fork.chain_config(**chain)
    if not operators:
        fork.run_node(config, host, port)
        return
    from foretell_cli.devnet import endowed

    joined: list[Devnet] = []
    try:
        fork.run_node(
            endowed(config), host, port, lambda running: joined.append(_join(running, models, operators))
        )
    finally:
        for devnet in joined:
            devnet.close()


def _join(chain: "ForetellChain", models: tuple[Path, ...], operators: int) -> "Devnet":
    from foretell_cli.devnet import Devnet

    devnet = Devnet(chain)
    for _ in range(operators):
        devnet.add_operator()
    for folder in models or sorted(path.parent for path in MODELS_FOLDER.glob("*/manifest.json")):
        click.echo(f"Registering {folder} ...")
        model = devnet.register_model(folder)
        click.echo(f"  {model.name}  model id 0x{model.model_id.hex()}")
    return devnet
