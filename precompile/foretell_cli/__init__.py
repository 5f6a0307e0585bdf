"""The command line ``foretell``: one group whose commands live in the packages that do the work.

The console script and ``ape foretell`` are this same group. Nothing here imports those packages until one of
their commands runs, so help and completion answer at once and an extra that is not installed costs nothing.
"""

from foretell_cli.app import main

__all__ = ["main"]
