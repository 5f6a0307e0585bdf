"""What people see of a model: tables, and a line that says what is being done."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from foretell_relayer.models.add import Figures
from foretell_relayer.models.add_graph import GraphFigures
from foretell_relayer.models.folder import ModelFolder, describe
from foretell_relayer.models.measure import Measured
from foretell_relayer.models.search import Step


@contextmanager
def progress(console: Console) -> Iterator[Step]:
    """Show the current step with its time; on something that is no terminal, a line for each step."""
    if not console.is_terminal:
        yield lambda text: console.print(f"- {text}", markup=False, highlight=False)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def step(text: str) -> None:
            bar.reset(task, description=text)

        yield step


def facts(folder: ModelFolder) -> Table:
    """A model's manifest, for reading."""
    return _table(f"model {folder.name}", {name: str(value) for name, value in describe(folder).items()})


def figures(found: Figures) -> Table:
    """What was measured when the model was added."""
    return _table(
        "measured on this machine",
        {
            "model": f"{found.parameters} parameters, {', '.join(found.operators)}",
            "error against ONNX Runtime": f"{found.error:.3g} at most, on {found.samples} samples",
            "error over its domain": f"{found.error_in_domain:.3g} at most, at corners and random points",
            "circuit": f"{found.rows} rows used, {_bytes(found.circuit_size)}, "
            f"proving key {_bytes(found.key_size)}",
            "set-up": f"{found.setup_seconds:.2f} s",
            "proof": f"{found.proving_seconds:.2f} s, {_bytes(found.proving_memory)} of memory, "
            f"{found.proof_size} bytes",
            "verifier contract": f"{found.verifier_size} bytes, {found.gas.deployment:,} gas to deploy",
            "verification": f"{found.gas.transaction:,} gas as a transaction, "
            f"{found.gas.call:,} inside a call",
        },
    )


def graph_figures(found: GraphFigures) -> Table:
    """What was measured when a model without a circuit was added."""
    return _table(
        "measured on this machine",
        {
            "model": f"{found.parameters} parameters, {', '.join(found.operators)}",
            "ways to run it": f"{found.spread:.3g} apart at most, on {found.samples} samples and the corners",
            "answer": f"{found.seconds * 1000:.2f} ms",
        },
    )


def spreads(found: Measured) -> Table:
    """How far each way to run a model is from the pinned one."""
    table = Table(
        title=escape(f"{found.name}: differences from the pinned runtime"), title_justify="left", box=None
    )
    for name in ("way", "largest", "p99", "differing"):
        table.add_column(name, no_wrap=True)
    for each in found.spreads:
        values = (f"{each.largest:.3g}", f"{each.p99:.3g}", f"{each.differing:.1%}")
        table.add_row(each.way, *(values if not each.why else ("-", "-", escape(each.why))))
    return table


def verdict(found: Measured) -> str:
    """What the differences mean for the tolerance."""
    text = f"{found.samples} inputs; any two ways are {found.apart:.3g} apart at most. "
    if not found.suggested:
        return text + ("They agree bit for bit." if found.apart == 0 else "Its class has no tolerance.")
    text += f"A tolerance of {found.suggested:g} leaves twice the room that was needed here; "
    if found.declared >= found.suggested:
        return text + f"the declared {found.declared:g} is wide enough."
    return text + f"the declared {found.declared:g} is narrow: honest operators may contradict each other."


def _table(title: str, rows: dict[str, str]) -> Table:
    table = Table(title=escape(title), title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, escape(value))
    return table


def _bytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"
