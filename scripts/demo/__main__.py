"""``python -m scripts.demo``: run the story; errors are messages, and an interrupt is one line."""

import sys

from foretell_cli.interrupt import keep_interrupts

INTERRUPTED = 130


def main() -> int:
    """The exit status."""
    keep_interrupts()
    try:
        # Loading takes a second or two, and may be interrupted as well.
        return _run()
    except KeyboardInterrupt:
        print("\nInterrupted: chain, operators and relayer have stopped.", file=sys.stderr)
        return INTERRUPTED


def _run() -> int:
    import click

    from foretell_cli.group import describe
    from scripts.demo.command import demo

    try:
        demo(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:  # noqa: BLE001 - the last frame: a person reads this
        click.echo("\n" + "\n".join(describe(error)), err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
