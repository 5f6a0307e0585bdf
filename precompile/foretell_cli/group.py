"""A click group that loads its commands late and turns errors into messages.

Exit codes: 1 an error of our own, which says what to do; 2 a wrong command line; 70 an error nobody foresaw;
130 interrupted.
"""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import click

INTERNAL_ERROR: Final = 70
INTERRUPTED: Final = 130
_SUGGESTION_CUTOFF: Final = 0.6
_OWN_PACKAGES: Final = ("ape_foretell", "foretell_")


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is (``module:attribute``), and its line of help until it is loaded."""

    name: str
    target: str
    help: str

    def load(self) -> click.Command:
        """Import the command.

        Raises:
            click.ClickException: a package that the command needs is not installed.
        """
        module, _, attribute = self.target.partition(":")
        try:
            command = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith(_OWN_PACKAGES):
                raise
            raise click.ClickException(
                f"`foretell {self.name}` needs the package {error.name}, which is not installed.\n"
                "Hint: pip install 'ape-foretell[relayer,node]'"
            ) from error
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.target} is not a click command")
        return command


class ForetellGroup(click.Group):
    """A group of :class:`LazyCommand`.

    An error of the project's own classes is printed as its message, with its ``code`` and ``hint`` if it has
    them; any other error that is not click's is printed in a line and exits 70. ``--debug`` shows tracebacks.
    """

    def __init__(self, *args: Any, lazy_commands: Sequence[LazyCommand] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = {command.name: command for command in lazy_commands}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = self._lazy.get(cmd_name)
        return lazy.load() if lazy else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._help_of(name)) for name in self.list_commands(ctx)])

    def _help_of(self, name: str) -> str:
        return self._lazy[name].help if name in self._lazy else self.commands[name].get_short_help_str()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and say which ones look like it where there is none of that name."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.list_commands(ctx):
            close = difflib.get_close_matches(name, self.list_commands(ctx), cutoff=_SUGGESTION_CUTOFF)
            suggestion = f" Did you mean {' or '.join(close)}?" if close else ""
            ctx.fail(f"No such command '{name}'.{suggestion}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command line, with errors as messages."""
        with _messages_for_errors(ctx):
            return super().invoke(ctx)


@contextmanager
def _messages_for_errors(ctx: click.Context) -> Iterator[None]:
    try:
        yield
    except (click.ClickException, click.exceptions.Exit):
        raise
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nInterrupted.", err=True)
        ctx.exit(INTERRUPTED)
    except Exception as error:
        if ctx.params.get("debug"):
            raise
        causes = list(_leaves(error))
        for line in (line for cause in causes for line in describe(cause)):
            click.echo(line, err=True)
        ctx.exit(1 if all(_is_foreseen(cause) for cause in causes) else INTERNAL_ERROR)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The single errors in a group of errors, such as a task group raises; otherwise the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def describe(error: BaseException) -> list[str]:
    """The lines that a user sees for ``error``: its message, its code and what to do."""
    message = str(error).strip() or type(error).__name__
    if not _is_foreseen(error):
        return [
            f"Unexpected error: {type(error).__name__}: {message}",
            "Hint: run it again as `foretell --debug ...` to see where it comes from.",
        ]
    code, hint = getattr(error, "code", ""), getattr(error, "hint", "")
    message = message.removeprefix(f"{code}: ")
    lines = [f"Error {code}: {message}" if code else f"Error: {message}"]
    return [*lines, f"Hint: {hint}"] if hint else lines


def _is_foreseen(error: BaseException) -> bool:
    """Whether one of our packages defines the class of this error, and so its message is meant for a user."""
    return type(error).__module__.startswith(_OWN_PACKAGES)
