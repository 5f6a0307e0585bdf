"""The group ``foretell`` and its commands."""

from typing import Final

import click

from foretell_cli.group import ForetellGroup, LazyCommand

COMMANDS: Final = (
    LazyCommand(
        "doctor", "foretell_relayer.operate.cli:doctor", "Check what a relayer needs, and say what to mend."
    ),
    LazyCommand(
        "drain", "foretell_relayer.operate.cli:drain", "Let a relayer finish what it staked on, and end."
    ),
    LazyCommand("init", "foretell_relayer.operate.cli:init", "Write a settings file for a relayer."),
    LazyCommand("judge", "foretell_cli.judge:judge", "Say which of contradicting operators deviated."),
    LazyCommand("model", "foretell_relayer.models.cli:model", "Make, show and check model folders."),
    LazyCommand(
        "node", "foretell_cli.node:node", "Run a development chain whose contracts can call your models."
    ),
    LazyCommand("pause", "foretell_relayer.operate.cli:pause", "Let a relayer take nothing new."),
    LazyCommand(
        "relay", "foretell_relayer.cli:relay", "Answer the requests of a Settlement contract, with proofs."
    ),
    LazyCommand("replay", "foretell_relayer.operate.cli:replay", "Begin again with one request."),
    LazyCommand("resume", "foretell_relayer.operate.cli:resume", "Let a relayer take requests again."),
    LazyCommand("srs", "foretell_relayer.models.srs_cli:srs", "Get and check the trusted setup of circuits."),
    LazyCommand("status", "foretell_relayer.operate.cli:status", "Show what a relayer is doing."),
    LazyCommand("verify", "foretell_cli.verify:verify", "Check a node's blocks without any model."),
    LazyCommand("why", "foretell_relayer.operate.cli:why", "Tell the story of one request."),
    LazyCommand("withdraw", "foretell_relayer.operate.cli:withdraw", "Draw what the operator earned."),
)


@click.group(
    name="foretell",
    cls=ForetellGroup,
    lazy_commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="ape-foretell", prog_name="foretell")
@click.option("--debug", is_flag=True, help="Log details, and show the traceback of an error.")
@click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    default="auto",
    show_default=True,
    envvar="FORETELL_LOG_FORMAT",
    help="How log lines look; auto is console on a terminal and json elsewhere.",
)
def main(debug: bool, log_format: str) -> None:
    """Smart contracts that call AI models: models, operators and development chains."""
    from foretell_cli.interrupt import keep_interrupts
    from foretell_cli.logging import LogFormat, configure_logging

    keep_interrupts()
    configure_logging(LogFormat(log_format), debug=debug)
