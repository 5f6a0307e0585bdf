"""``foretell srs``: get and check structured reference strings."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from foretell_relayer.models.srs import Srs

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.group()
def srs() -> None:
    """Get and check the trusted setup of circuits.

    Proofs mean something only if nobody knows the secret of the structured reference string (SRS) that they
    were made with. `foretell model add` makes one by itself, which is good for development chains alone.
    """


@srs.command()
@click.option("--logrows", type=int, required=True, help="Rows, as a power of two; `model add` names it.")
@click.option("--out", type=_FILE, required=True, help="Where to put the file.")
@click.option("--from", "source", type=_FILE, help="Take it from this file.  [default: download, by EZKL]")
def get(logrows: int, out: Path, source: Path | None) -> None:
    """Get the public SRS of the perpetual powers of tau, checked by its hash.

    \b
    Example:
      foretell srs get --logrows 15 --out kzg15.srs
      foretell model add net.onnx --data samples.npz --srs kzg15.srs
    """
    from foretell_relayer.models import srs as strings
    from foretell_relayer.models.errors import BadSrs

    if source is None:
        found = strings.fetch(logrows, out)
    elif logrows not in strings.PUBLIC:
        raise BadSrs(f"there is no known public SRS of 2**{logrows} rows")
    else:
        found = strings.take(source, out, expected=strings.PUBLIC[logrows])
    _tell(found)


@srs.command()
@click.argument("file", type=_FILE)
@click.option("--sha256", help="The hash that it must have.")
def check(file: Path, sha256: str | None) -> None:
    """Say what FILE is: its size, its hash, and whether it is a public ceremony's."""
    from foretell_relayer.models import srs as strings

    _tell(strings.inspect(file, expected=sha256))


def _tell(found: "Srs") -> None:
    click.echo(f"file     {found.path}")
    click.echo(f"rows     2**{found.k}")
    click.echo(f"sha256   {found.sha256}")
    if found.is_public:
        click.echo(f"setup    public: {found.ceremony}")
    else:
        click.echo("setup    INSECURE: of no known ceremony; for development chains only")
