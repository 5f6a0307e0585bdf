"""OpenGradient's settings as users write them, and as other nodes get them."""

from pathlib import Path
from typing import Any

import pytest
from eth.db.backends.memory import MemoryDB

from foretell_evm.config import ChainConfig
from foretell_evm.description import ChainDescription
from foretell_evm.errors import ConfigError
from foretell_evm.genesis import write_genesis
from foretell_evm.opengradient.config import Layout, Mode, OpenGradientConfig
from foretell_evm.opengradient.description import OpenGradientDescription
from foretell_evm.opengradient.settings import read_settings
from tests.kit.fork import GENESIS_TIME
from tests.kit.opengradient import NEUROML_CALLER, hourly_feed, row

MODEL = "0x" + "5a" * 32

FULL = f"""
layout = "neuroml"

[models]
QmVolatility = "{MODEL}"

[layouts]
"{NEUROML_CALLER.lower()}" = "solidml"

[feed]
file = "prices.json"
candle_minutes = 60
mode = "zk"
"""


def write(folder: Path, settings: str, prices: str = "[]") -> Path:
    (folder / "prices.json").write_text(prices)
    file = folder / "opengradient.toml"
    file.write_text(settings)
    return file


def test_read_settings__all__is_the_configuration(tmp_path: Path) -> None:
    from pydantic_core import to_json

    prices = to_json([row(index) for index in range(48)]).decode()
    assert read_settings(write(tmp_path, FULL, prices)) == OpenGradientConfig(
        models=(("QmVolatility", bytes.fromhex(MODEL[2:])),),
        layout=Layout.NEUROML,
        layouts=((NEUROML_CALLER, Layout.SOLIDML),),
        feed=hourly_feed(),
        feed_mode=Mode.ZK,
    )


def test_read_settings__nothing__is_the_default(tmp_path: Path) -> None:
    assert read_settings(write(tmp_path, "")) == OpenGradientConfig()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("layout = 'other'", "layout"),
        ("more = 1", "more"),
        ("[models]\nQm = '0x12'", "models.Qm"),
        ("[models]\nQm = 5", "models.Qm"),
        ("[layouts]\n'0x12' = 'solidml'", "no address"),
        (f"[layouts]\n'{NEUROML_CALLER}' = 'solidml'\n'{NEUROML_CALLER.lower()}' = 'neuroml'", "twice"),
        ("[feed]\nfile = 'prices.json'", "candle_minutes"),
        ("[feed]\nfile = 'none.json'\ncandle_minutes = 60", "cannot be read"),
        ("[feed]\nfile = 'prices.json'\ncandle_minutes = 0", "candle_minutes"),
        ("[feed]\nfile = 'prices.json'\ncandle_minutes = 60\nmode = 'fast'", "mode"),
        ("layout", "no TOML"),
    ],
)
def test_read_settings__wrong__says_what(tmp_path: Path, settings: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_settings(write(tmp_path, settings))


def test_read_settings__no_file__says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="no TOML"):
        read_settings(tmp_path / "bytes.toml")


SETTINGS = OpenGradientConfig(
    models=(("QmVolatility", bytes.fromhex(MODEL[2:])),),
    layouts=((NEUROML_CALLER, Layout.NEUROML),),
    feed=hourly_feed(3),
    feed_mode=Mode.ZK,
)


def described(settings: OpenGradientConfig | None = SETTINGS) -> dict[str, Any]:
    config = ChainConfig(accounts=0, genesis_time=GENESIS_TIME, opengradient=settings)
    return ChainDescription.of(config, GENESIS_TIME, []).model_dump()


def test_description__of_opengradient__gives_the_same_settings() -> None:
    assert ChainDescription.read(described()).config().opengradient == SETTINGS
    assert ChainDescription.read(described(None)).config().opengradient is None


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("layout",), "other", "opengradient.layout"),
        (("models", 0, "model_id"), "0x12", "model_id"),
        (("models", 0, "cid"), 5, "cid"),
        (("layouts", 0, "caller"), "0x12", "caller"),
        (("feed_mode",), 3, "feed_mode"),
        (("feed", "candle_minutes"), 0, "minutes"),
        (("feed", "candle_minutes"), "60", "candle_minutes"),
        (("feed", "pairs", 0, "candles", 0, 1), -1, "candles"),
        (("feed", "pairs", 0, "candles", 0), [1], "candles"),
        (("feed", "pairs", 0, "candles", 0, 1), 2**200, "candles"),
        (("feed", "pairs", 0, "candles", 0, 0), 1, "multiple"),
        (("feed", "pairs", 0, "candles", 0, 1), 1.5, "candles"),
    ],
)
def test_description__hostile__is_refused(path: tuple[Any, ...], value: Any, said: str) -> None:
    wrong = described()
    *inner, last = ("opengradient", *path)
    place: Any = wrong
    for step in inner:
        place = place[step]
    place[last] = value
    with pytest.raises(ConfigError, match=said):
        ChainDescription.read(wrong).config()


def test_genesis__of_other_settings__is_another() -> None:
    others = [
        None,
        OpenGradientConfig(),
        SETTINGS,
        OpenGradientConfig(layout=Layout.NEUROML),
        OpenGradientConfig(feed=hourly_feed(3)),
        OpenGradientConfig(feed=hourly_feed(4)),
        OpenGradientConfig(feed_mode=Mode.ZK),
        OpenGradientConfig(models=SETTINGS.models),
        OpenGradientConfig(layouts=SETTINGS.layouts),
    ]
    made = [ChainConfig(accounts=0, genesis_time=GENESIS_TIME, opengradient=each) for each in others]
    hashes = {write_genesis(config, GENESIS_TIME, MemoryDB()).block.hash for config in made}
    assert len(hashes) == len(others)


def test_digest__of_settings__is_the_same_each_time() -> None:
    digests = {OpenGradientDescription.of(SETTINGS).digest for _ in range(2)}
    assert len(digests) == 1
