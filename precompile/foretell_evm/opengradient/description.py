"""OpenGradient's settings as other nodes get them, and the digest by which a genesis commits to them."""

from typing import Annotated, Any

from eth_typing import ChecksumAddress
from eth_utils import is_checksum_address, keccak
from pydantic import AfterValidator, Field

from foretell_evm.opengradient.config import Layout, Mode, OpenGradientConfig
from foretell_evm.opengradient.feed import MAX_CANDLES, MAX_VALUE, Candle, PriceFeed
from foretell_evm.strict import Strict
from foretell_spec.manifest import canonical_json

MAX_ENTRIES = 10_000
"""Models, layouts and pairs that a description may hold."""


def _checksummed(address: str) -> str:
    if not is_checksum_address(address):
        raise ValueError("not a checksummed address")
    return address


_Value = Annotated[int, Field(ge=0, lt=MAX_VALUE)]
_Time = Annotated[int, Field(ge=0, lt=2**63)]
_Layout = Annotated[str, Field(pattern="^(solidml|neuroml)$")]


class _Model(Strict):
    cid: str
    model_id: Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")]


class _CallerLayout(Strict):
    caller: Annotated[str, AfterValidator(_checksummed)]
    layout: _Layout


class _Prices(Strict):
    base: str
    quote: str
    candles: Annotated[
        list[Annotated[list[_Value | _Time], Field(min_length=6, max_length=6)]],
        Field(max_length=MAX_CANDLES),
    ]
    """Each time, high, low, open, close and volume, prices and volume in WAD."""


class _Feed(Strict):
    candle_minutes: int
    pairs: Annotated[list[_Prices], Field(max_length=MAX_ENTRIES)]


class OpenGradientDescription(Strict):
    """All that decides what the precompiles answer, the price feed included."""

    models: Annotated[list[_Model], Field(max_length=MAX_ENTRIES)]
    layout: _Layout
    layouts: Annotated[list[_CallerLayout], Field(max_length=MAX_ENTRIES)]
    feed: _Feed | None
    feed_mode: Annotated[int, Field(ge=0, le=2)]

    @classmethod
    def of(cls, config: OpenGradientConfig) -> "OpenGradientDescription":
        """The description of these settings."""
        return cls(
            models=[_Model(cid=cid, model_id=f"0x{model_id.hex()}") for cid, model_id in config.models],
            layout=config.layout.value,
            layouts=[_CallerLayout(caller=caller, layout=each.value) for caller, each in config.layouts],
            feed=None if config.feed is None else _describe(config.feed),
            feed_mode=int(config.feed_mode),
        )

    def config(self) -> OpenGradientConfig:
        """The settings that are described.

        Raises:
            ConfigError: they are none.
        """
        return OpenGradientConfig(
            models=tuple((each.cid, bytes.fromhex(each.model_id[2:])) for each in self.models),
            layout=Layout(self.layout),
            layouts=tuple((ChecksumAddress(each.caller), Layout(each.layout)) for each in self.layouts),  # type: ignore[arg-type]
            feed=None if self.feed is None else _feed(self.feed),
            feed_mode=Mode(self.feed_mode),
        )

    @property
    def digest(self) -> bytes:
        """keccak256 of the canonical JSON."""
        content: dict[str, Any] = self.model_dump()
        return keccak(canonical_json(content))


def _describe(feed: PriceFeed) -> _Feed:
    pairs = [
        _Prices(base=base, quote=quote, candles=[list(candle) for candle in candles])
        for (base, quote), candles in sorted(feed.pairs.items())
    ]
    return _Feed(candle_minutes=feed.candle_minutes, pairs=pairs)


def _feed(described: _Feed) -> PriceFeed:
    pairs = {(each.base, each.quote): tuple(Candle(*row) for row in each.candles) for each in described.pairs}
    return PriceFeed(described.candle_minutes, pairs)
