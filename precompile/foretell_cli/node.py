"""``foretell node``: the fork's development chain, with operators in its process that answer for models."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from foretell_evm import cli as fork

if TYPE_CHECKING:
    from foretell_cli.devnet import Devnet
    from foretell_evm.chain import ForetellChain

MODELS_FOLDER: Final = Path("models")
_WITH_FOLLOW: Final = frozenset({"upstream", "folder", "host", "port", "origins", "names"})


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
    "--load-state", "load_from", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Start with the accounts of this file, which --dump-state or anvil wrote.",
)  # fmt: skip
@click.option(
    "--dump-state", "dump_to", type=click.Path(dir_okay=False, path_type=Path),
    help="Write all accounts into this file when the node ends.",
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
    **options: Any,
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
    doors = fork.take_doors(options)
    if upstream is not None:
        _refuse_with_follow(context)
        fork.run_follower(upstream, doors, folder)
        return
    load_from, dump_to = options.pop("load_from"), options.pop("dump_to")
    config = fork.chain_config(**options)
    if operators:
        from foretell_cli.devnet import endowed

        config = endowed(config)

    @contextmanager
    def company(running: "ForetellChain") -> Iterator[None]:
        with _operators(running, models, operators, doors.quiet), _states(running, load_from, dump_to):
            yield

    fork.run_node(config, doors, company, folder)


@contextmanager
def _operators(chain: "ForetellChain", models: tuple[Path, ...], count: int, quiet: bool) -> Iterator[None]:
    """Operators that answer for models, while the chain is served."""
    if not count:
        yield
        return
    with closing(_join(chain, models, count, quiet)) as devnet, _workflows(devnet):
        yield


@contextmanager
def _workflows(devnet: "Devnet") -> Iterator[None]:
    """Somebody who runs the scheduled workflows of a chain that serves OpenGradient's interface."""
    if devnet.chain.config.opengradient is None:
        yield
        return
    from foretell_cli.workflows import WorkflowExecutor

    with closing(WorkflowExecutor(devnet)) as executor:
        executor.start()
        yield


@contextmanager
def _states(chain: "ForetellChain", load_from: Path | None, dump_to: Path | None) -> Iterator[None]:
    """Write a file's accounts into the state at the start, and the state into a file at the end."""
    if load_from is not None:
        chain.load_state(load_from.read_bytes())
    try:
        yield
    finally:
        if dump_to is not None:
            # A kill while it is written leaves the file that was there.
            part = dump_to.with_name(dump_to.name + ".part")
            part.write_bytes(chain.dump_state())
            part.replace(dump_to)
            click.echo(f"The state after block {chain.head.number} is in {dump_to}")


def _refuse_with_follow(context: click.Context) -> None:
    """A follower's chain is the other node's: options that describe one are a misunderstanding."""
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in _WITH_FOLLOW:
            raise click.UsageError(
                f"{parameter.opts[0]} does not go with --follow: the chain is the other node's"
            )


def _join(chain: "ForetellChain", models: tuple[Path, ...], operators: int, quiet: bool) -> "Devnet":
    from foretell_cli.devnet import Devnet

    devnet = Devnet(chain)
    try:
        for _ in range(operators):
            devnet.add_operator()
        for folder in models or sorted(path.parent for path in MODELS_FOLDER.glob("*/manifest.json")):
            if not quiet:
                click.echo(f"Registering {folder} ...")
            model = devnet.register_model(folder)
            if not quiet:
                click.echo(f"  {model.name}  model id 0x{model.model_id.hex()}")
    except BaseException:
        devnet.close()
        raise
    return devnet
