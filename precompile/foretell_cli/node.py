"""``foretell node``: the fork's development chain, with operators in its process that answer for models."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from foretell_evm import cli as fork

if TYPE_CHECKING:
    from foretell_cli.devnet import Devnet
    from foretell_evm.chain import ForetellChain

MODELS_FOLDER: Final = Path("models")
_WITH_FOLLOW: Final = frozenset({"upstream", "folder", "host", "port"})


@click.command("node", params=[*fork.node.params])
@click.option(
    "--model", "models", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Model folder to register; may be repeated.  [default: every model in models/]",
)  # fmt: skip
@click.option(
    "--operators", default=2, show_default=True, type=click.IntRange(0, 16),
    help="Operators that answer; without any, no models are registered.",
)  # fmt: skip
@click.option(
    "--data-dir", "folder", type=click.Path(file_okay=False, path_type=Path),
    help="Keep the chain in this folder, or go on with the one there.  [default: it ends with the node]",
)  # fmt: skip
@click.option(
    "--follow", "upstream", metavar="URL",
    help="Make no blocks: check another node's as they come, and serve them.",
)  # fmt: skip
@click.pass_context
def node(
    context: click.Context,
    /,
    models: tuple[Path, ...],
    operators: int,
    folder: Path | None,
    upstream: str | None,
    host: str,
    port: int,
    **chain: Any,
) -> None:
    """Run a development chain whose contracts can call your models.

    Serves Ethereum's JSON-RPC as anvil does, with the inference precompile, the system contracts, and
    bonded operators in this process.

    \b
    Examples:
      foretell node --model models/volatility --port 8545
      foretell node --data-dir chain                       keeps the chain
      foretell node --follow http://127.0.0.1:8545 --port 8546
    """
    if upstream is not None:
        _refuse_with_follow(context)
        fork.run_follower(upstream, host, port, folder)
        return
    config = fork.chain_config(**chain)
    if not operators:
        fork.run_node(config, host, port, folder=folder)
        return
    from foretell_cli.devnet import endowed

    joined: list[Devnet] = []
    try:
        fork.run_node(
            endowed(config),
            host,
            port,
            lambda running: joined.append(_join(running, models, operators)),
            folder,
        )
    finally:
        for devnet in joined:
            devnet.close()


def _refuse_with_follow(context: click.Context) -> None:
    """A follower's chain is the other node's: options that describe one are a misunderstanding."""
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in _WITH_FOLLOW:
            raise click.UsageError(
                f"{parameter.opts[0]} does not go with --follow: the chain is the other node's"
            )


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
