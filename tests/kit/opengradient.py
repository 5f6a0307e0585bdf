"""A fork that serves OpenGradient's interface, and calls as its contracts make them."""

from typing import Any

import pytest
from eth_abi import encode
from web3.exceptions import ContractCustomError

from foretell_evm.config import ChainConfig
from foretell_evm.opengradient import abi
from foretell_evm.opengradient.config import Layout, OpenGradientConfig
from foretell_evm.opengradient.feed import PriceFeed
from foretell_evm.opengradient.feed_file import price_feed
from foretell_spec.reasons import Reason, reason_of
from tests.kit.fork import GENESIS_TIME, Fork, address_of

INFERENCE = address_of(0xF4)
HISTORICAL = address_of(0xF5)
TEE_VERIFIER = address_of(0x900)
NEUROML_CALLER = address_of(0xABCD)

HIGH, LOW, OPEN, CLOSE, VOLUME = range(5)
OLDEST_FIRST, NEWEST_FIRST = range(2)
HOUR = 3_600
FIRST = GENESIS_TIME - GENESIS_TIME % (24 * HOUR)
"""When the feed's first candle begins: midnight."""


def row(index: int, **changes: Any) -> dict[str, Any]:
    """Candle number ``index`` of a feed of hours: it opens at 10 + index and closes 0.5 higher."""
    opens = 10 + index
    values = {"open": opens, "high": opens + 2, "low": opens - 1, "close": f"{opens}.5", "volume": index}
    return {"base": "ETH", "quote": "USD", "time": FIRST + index * HOUR, **values, **changes}


def hourly_feed(hours: int = 48) -> PriceFeed:
    """A feed of so many hours from ``FIRST`` on."""
    return price_feed([row(index) for index in range(hours)], 60)


def opengradient_fork(**settings: Any) -> Fork:
    """A fork with an hourly feed, a caller that decodes NeuroML's layout, and one operator."""
    given = {"layouts": ((NEUROML_CALLER, Layout.NEUROML),), "feed": hourly_feed(), **settings}
    fork = Fork(ChainConfig(genesis_time=GENESIS_TIME, opengradient=OpenGradientConfig(**given)))
    fork.add_operator()
    return fork


def query(
    candles: int = 2,
    minutes: int = 60,
    order: int = OLDEST_FIRST,
    types: tuple[int, ...] = (CLOSE,),
    pair: tuple[str, str] = ("ETH", "USD"),
) -> tuple[Any, ...]:
    """A ``HistoricalInputQuery``."""
    return (*pair, candles, minutes, order, types)


def query_data(*args: Any, **kwargs: Any) -> bytes:
    """Calldata of ``queryHistoricalCandles``."""
    return abi.QUERY_CANDLES + encode([abi.QUERY], [query(*args, **kwargs)])


def feed_data(cid: str, *args: Any, **kwargs: Any) -> bytes:
    """Calldata of ``runInferenceOnPriceFeed``."""
    arguments = [cid, "prices", query(*args, **kwargs)]
    return abi.RUN_ON_PRICE_FEED + encode(["string", "string", abi.QUERY], arguments)


def cid_of(fork: Fork) -> str:
    """The adding model as contracts name it."""
    return "0x" + fork.model_id.hex()


def refusal(fork: Fork, to: str, data: bytes, **fields: Any) -> Reason | None:
    """Why a call reverts."""
    with pytest.raises(ContractCustomError) as caught:
        fork.w3.eth.call({"to": to, "data": data, **fields})
    return reason_of(bytes.fromhex(str(caught.value.data)[2:]))
