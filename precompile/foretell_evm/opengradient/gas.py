"""What the precompiles cost: pure functions of calldata and the chain's rules, as ``foretell_spec.gas`` is.

An inference costs what the native precompile takes for it, with each word of calldata as one number; a query
of prices costs by what is read and returned; the TEE verifier's figures are those of OpenGradient's own node.
"""

from typing import Final

from foretell_evm.opengradient import abi
from foretell_evm.opengradient.config import Mode, OpenGradientConfig
from foretell_evm.opengradient.feed import PriceFeed
from foretell_spec.gas import INFER_BASE, INFER_PER_INPUT, INFER_RECORD, PROOF_VERIFICATION, UNKNOWN_CALL

QUERY_BASE: Final = 3_000
QUERY_VALUE: Final = 300
"""A number of the answer: merged, shortened, encoded."""
QUERY_ROW: Final = 30
"""A candle of the feed that is read."""
MAX_QUERY_VALUES: Final = 1_024
MAX_QUERY_ROWS: Final = 65_536

VERIFY_ATTESTATION: Final = 500_000
VERIFY_RSA_PSS: Final = 20_000


def inference_gas(data: bytes, is_static: bool) -> int:
    """A call of 0xF4, before its event."""
    if data[:4] != abi.RUN_MODEL:
        return UNKNOWN_CALL
    # Vyper sends room for the greatest value of a type: zero words behind the last value are no numbers.
    words = len(data.rstrip(b"\0")) // 32
    return _infer(words, Mode.ZK if _word(data, 36) == Mode.ZK else Mode.VANILLA, is_static)


def historical_gas(data: bytes, is_static: bool, config: OpenGradientConfig) -> int:
    """A call of 0xF5, before its event."""
    at = abi.query_position(data)
    if at is None:
        return UNKNOWN_CALL
    work = None if config.feed is None else query_work(config.feed, *abi.query_size(data, at))
    if work is None:
        return QUERY_BASE
    values, rows = work
    gas = QUERY_BASE + QUERY_VALUE * values + QUERY_ROW * rows
    if data[:4] == abi.RUN_ON_PRICE_FEED:
        gas += _infer(values, config.feed_mode, is_static)
    return gas


def query_work(feed: PriceFeed, candles: int, minutes: int, types: int) -> tuple[int, int] | None:
    """Numbers in the answer and most candles of the feed to read; ``None`` for a query that is refused."""
    per_candle = feed.rows_per_candle(minutes)
    if per_candle is None:
        return None
    values, rows = candles * types, candles * per_candle
    return (values, rows) if 0 < values <= MAX_QUERY_VALUES and rows <= MAX_QUERY_ROWS else None


def tee_gas(data: bytes, is_static: bool) -> int:
    """A call of 0x900."""
    del is_static
    prices = {abi.VERIFY_ATTESTATION: VERIFY_ATTESTATION, abi.VERIFY_RSA_PSS: VERIFY_RSA_PSS}
    return prices.get(data[:4], UNKNOWN_CALL)


def _infer(numbers: int, mode: Mode, is_static: bool) -> int:
    gas = INFER_BASE + INFER_PER_INPUT * numbers
    if not is_static:
        gas += INFER_RECORD
    if mode is Mode.ZK:
        gas += PROOF_VERIFICATION
    return gas


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 32], "big")
