"""The parts of the demo that need no chain."""

import io
from html.parser import HTMLParser

import pytest
from rich.console import Console

from scripts.demo import closes, picture
from scripts.demo.timeline import Act, Step, Timeline, Tone


def test_closes__are_the_prices_that_arch_ships():
    pytest.importorskip("arch")
    assert closes.FILE.read_text() == closes.cut()


def test_closes__in_order_and_enough_for_a_window():
    days = closes.closes()
    assert len(days) > 40
    assert [day.day for day in days] == sorted({day.day for day in days})
    assert all(100_000 < day.price < 400_000 for day in days)


@pytest.fixture
def timeline() -> Timeline:
    timeline = Timeline(Console(file=io.StringIO(), width=120))
    with timeline.act("A proven answer") as act:
        timeline.tell("trader", "asks <for> it & waits", tone=Tone.WAIT)
        timeline.tell("chain", "takes it", gas=21_000, assurance="PROVEN", tone=Tone.GOOD)
        act.gap = 0
    return timeline


class Texts(HTMLParser):
    """Collects the texts of a picture."""

    def __init__(self, svg: str) -> None:
        super().__init__()
        self.all = ""
        self.feed(svg)

    def handle_data(self, data: str) -> None:
        self.all += data


def test_picture__tells_every_step(timeline):
    texts = Texts(picture.draw(timeline.acts, "Title")).all
    for said in (
        "Title",
        "1. A proven answer",
        "asks <for> it & waits",
        "21,000 gas",
        "PROVEN",
        "no trust gap",
    ):
        assert said in texts


def test_picture__an_open_gap_is_called_open():
    act = Act("Left open", steps=[Step(0.1, "pool", "acts", tone=Tone.WAIT)])
    assert "trust gap open" in picture.draw([act], "")


def test_summary__adds_up_gas_and_names_the_gap(timeline):
    console = Console(file=io.StringIO(), width=120)
    console.print(timeline.summary())
    text = console.file.getvalue()
    assert "21,000" in text
    assert "none" in text
