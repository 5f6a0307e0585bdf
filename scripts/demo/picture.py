"""The timeline as an SVG picture: one column for each act, the trust gap as a bar beside its steps."""

from html import escape
from pathlib import Path
from textwrap import wrap

from scripts.demo.timeline import COLOURS, Act, Step, Timeline, Tone

COLUMN, MARGIN, LINE, CHARS = 430, 30, 17, 46
INK, FAINT, PAPER = "#0f172a", "#94a3b8", "#ffffff"


def write(timeline: Timeline, title: str, path: Path) -> None:
    """Write the picture; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draw(timeline.acts, title))


def draw(acts: list[Act], title: str) -> str:
    """The SVG text."""
    columns = [_column(act, number, MARGIN + COLUMN * (number - 1)) for number, act in enumerate(acts, 1)]
    width, height = 2 * MARGIN + COLUMN * len(acts), max(bottom for _, bottom in columns) + MARGIN
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        _text(MARGIN, 44, title, 22, INK, bold=True),
        *(part for column, _ in columns for part in column),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _column(act: Act, number: int, left: int) -> tuple[list[str], int]:
    parts, y = [], 84
    for line in wrap(f"{number}. {act.title}", 38):
        parts.append(_text(left, y, line, 16, INK, bold=True))
        y += 21
    y += 12
    marks: list[tuple[int, Step]] = []
    for step in act.steps:
        marks.append((y, step))
        step_parts, y = _step(step, left, y)
        parts += step_parts
    gap = (
        "no trust gap"
        if act.gap == 0
        else "trust gap open"
        if act.gap is None
        else f"trust gap {act.gap:.2f} s"
    )
    parts.append(_text(left + 34, y + 8, f"{gap} · {act.gas:,} gas in all", 13, INK, bold=True))
    return [*_spine(marks, left), *parts], y + 16


def _spine(marks: list[tuple[int, Step]], left: int) -> list[str]:
    """The line along the steps; thick and amber as long as an answer is used and not final."""
    x, ys = left + 10, [y for y, _ in marks]
    parts = [_line(x, ys[0], ys[-1], FAINT, 2)]
    used = next((y for y, step in marks if step.assurance == "SIGNED"), None)
    if used is not None:
        final = next((y for y, step in marks if step.assurance == "FINAL"), ys[-1])
        parts.append(_line(x, used, final, COLOURS[Tone.WAIT], 6))
    return parts


def _line(x: int, top: int, bottom: int, colour: str, width: int) -> str:
    return f'<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom}" stroke="{colour}" stroke-width="{width}"/>'


def _step(step: Step, left: int, y: int) -> tuple[list[str], int]:
    colour = COLOURS[step.tone]
    head = f"{step.at:.2f} s · {step.who}"
    tail = " · ".join(filter(None, [f"{step.gas:,} gas" if step.gas else "", step.assurance]))
    parts = [
        f'<circle cx="{left + 10}" cy="{y}" r="6" fill="{colour}" stroke="{PAPER}" stroke-width="2"/>',
        _text(left + 34, y + 4, head, 12, FAINT),
        _text(left + COLUMN - 50, y + 4, tail, 12, colour, anchor="end"),
    ]
    y += 5
    for line in wrap(step.what, CHARS):
        y += LINE
        parts.append(_text(left + 34, y, line, 14, INK))
    return parts, y + 26


def _text(
    x: int, y: int, text: str, size: int, colour: str, *, bold: bool = False, anchor: str = "start"
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{x}" y="{y}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size}" fill="{colour}"{weight}>{escape(text)}</text>'
