"""0xF5: candles of the chain's price feed, and models that run on them in one call.

The feed is part of the chain's rules, so prices are the same on every node; what a block sees of it depends
on the block's time alone.
"""

from functools import partial
from typing import Final

from eth.abc import ComputationAPI

from foretell_evm.frame import Precompile, Refusal, log_event, precompile
from foretell_evm.opengradient import abi
from foretell_evm.opengradient.addresses import HISTORICAL
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_evm.opengradient.feed import NoPrices
from foretell_evm.opengradient.gas import historical_gas, query_work
from foretell_evm.opengradient.inference import encode_for_caller, run_model
from foretell_evm.opengradient.numbers import from_wad
from foretell_spec.reasons import Reason
from foretell_spec.tensor import Tensor

MAX_CALLDATA: Final = 4_096
_OLDEST_FIRST: Final = 0
_NEWEST_FIRST: Final = 1
_TYPES: Final = 5


def historical_precompile(config: OpenGradientConfig) -> Precompile:
    """0xF5 of a chain with these settings."""

    def query_candles(computation: ComputationAPI, data: bytes) -> bytes:
        query = abi.decode_query(_bounded(data))
        return abi.encode_numbers([from_wad(wad) for wad in _values(computation, query, config)])

    def run_on_price_feed(computation: ComputationAPI, data: bytes) -> bytes:
        # A model here has one flat input, which needs no name.
        cid, _, query = abi.decode_run_on_price_feed(_bounded(data))
        inputs = _values(computation, query, config)
        tensor, inference_id = run_model(computation, config, cid, config.feed_mode, inputs)
        event = abi.encode_historical_event(inference_id, cid, query)
        log_event(computation, HISTORICAL, abi.HISTORICAL_INFERENCE_TOPIC, event)
        return encode_for_caller(computation, tensor, config)

    functions = {abi.QUERY_CANDLES: query_candles, abi.RUN_ON_PRICE_FEED: run_on_price_feed}
    gas = partial(historical_gas, config=config)
    return precompile(HISTORICAL, "OpenGradient price history", gas, functions)


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_CALLDATA:
        raise Refusal(Reason.BAD_CALLDATA)
    return data


def _values(computation: ComputationAPI, query: abi.CandleQuery, config: OpenGradientConfig) -> Tensor:
    """WAD values, candle after candle, each in the order of the query's types."""
    if config.feed is None:
        raise Refusal(Reason.NO_PRICES)
    known = query.order in (_OLDEST_FIRST, _NEWEST_FIRST) and max(query.types, default=0) < _TYPES
    if not known or len(set(query.types)) != len(query.types):
        raise Refusal(Reason.BAD_CALLDATA)
    count, minutes = query.total_candles, query.candle_duration_in_mins
    if query_work(config.feed, count, minutes, len(query.types)) is None:
        raise Refusal(Reason.BAD_INPUT)
    pair, now = (query.base, query.quote), computation.state.timestamp
    try:
        candles = config.feed.latest(pair, count, minutes, now)
    except NoPrices:
        raise Refusal(Reason.NO_PRICES) from None
    if query.order == _NEWEST_FIRST:
        candles.reverse()
    return tuple(candle.values[kind] for candle in candles for kind in query.types)
