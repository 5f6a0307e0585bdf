"""0xF5: prices of the feed, and models that run on them."""

from collections.abc import Iterator

import pytest
from eth_abi import decode, encode

from foretell_evm.opengradient import abi, gas
from foretell_evm.opengradient.config import Layout, Mode, OpenGradientConfig
from foretell_evm.opengradient.feed_file import price_feed
from foretell_evm.opengradient.gas import historical_gas
from foretell_spec.gas import INFER_BASE, INFER_PER_INPUT, INFER_RECORD, PROOF_VERIFICATION, UNKNOWN_CALL
from foretell_spec.reasons import Reason
from tests.kit.fork import Fork
from tests.kit.opengradient import (
    CLOSE,
    FIRST,
    HIGH,
    HISTORICAL,
    HOUR,
    LOW,
    NEUROML_CALLER,
    NEWEST_FIRST,
    OPEN,
    VOLUME,
    cid_of,
    feed_data,
    hourly_feed,
    opengradient_fork,
    query,
    query_data,
    refusal,
    row,
)

NUMBERS = "(int128,int128)[]"
NO_FEED = OpenGradientConfig()
HOURLY = OpenGradientConfig(feed=hourly_feed())


@pytest.fixture(scope="module")
def og() -> Iterator[Fork]:
    made = opengradient_fork()
    yield made
    made.close()


def candles(fork: Fork, *args, **kwargs) -> list[float]:
    output = fork.w3.eth.call({"to": HISTORICAL, "data": query_data(*args, **kwargs)})
    return [value / 10**decimals for value, decimals in decode([NUMBERS], output)[0]]


def test_selectors__published__match() -> None:
    assert abi.QUERY_CANDLES.hex() == "f2f08e63"
    assert abi.RUN_ON_PRICE_FEED.hex() == "a192a0f9"
    assert (
        abi.HISTORICAL_INFERENCE_TOPIC.hex()
        == "a0b84adf414dd08829ae42fc67da313f3657559b5a413d120fc74eb81635cb51"
    )


def test_query__types_and_order__are_the_caller_s(og: Fork) -> None:
    every = (OPEN, HIGH, LOW, CLOSE, VOLUME)
    assert candles(og, types=every) == [56, 58, 55, 56.5, 46, 57, 59, 56, 57.5, 47]
    assert candles(og, order=NEWEST_FIRST, types=(LOW, VOLUME)) == [56, 47, 55, 46]
    assert candles(og, candles=1, minutes=24 * 60, types=(HIGH, LOW)) == [59, 33]


def test_run_on_price_feed__transaction__runs_the_model_on_the_candles(og: Fork) -> None:
    data = feed_data(cid_of(og))
    sent = og.w3.eth.send_transaction({"from": og.user, "to": HISTORICAL, "data": data, "gas": 3_000_000})
    receipt = og.settle("0x" + bytes(sent).hex())
    (log,) = [log for log in receipt["logs"] if log["address"] == HISTORICAL]
    assert bytes(log["topics"][0]) == abi.HISTORICAL_INFERENCE_TOPIC
    inference_id, *named = decode(["string"] * 4, bytes(log["data"]))
    assert named == [cid_of(og), "ETH", "USD"]
    assert og.chain.rpc("foretell_receipt", [inference_id])["assuranceName"] == "SIGNED"
    for caller, layout in ((og.user, Layout.SOLIDML), (NEUROML_CALLER, Layout.NEUROML)):
        output = og.w3.eth.call({"from": caller, "to": HISTORICAL, "data": data})
        (answer,) = decode([abi.OUTPUT[layout]], output)
        assert answer[0] == (("output", ((114, 0),), (1,)),)
        assert answer[-1] is False


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"candles": 0}, Reason.BAD_INPUT),
        ({"candles": 2**32 - 1}, Reason.BAD_INPUT),
        ({"candles": 1_025}, Reason.BAD_INPUT),
        ({"minutes": 0}, Reason.BAD_INPUT),
        ({"minutes": 61}, Reason.BAD_INPUT),
        ({"minutes": 60 * 65_537, "candles": 1}, Reason.BAD_INPUT),
        ({"types": ()}, Reason.BAD_INPUT),
        ({"types": (CLOSE, CLOSE)}, Reason.BAD_CALLDATA),
        ({"types": (5,)}, Reason.BAD_CALLDATA),
        ({"order": 2}, Reason.BAD_CALLDATA),
        ({"candles": 49}, Reason.NO_PRICES),
        ({"pair": ("ETH", "EUR")}, Reason.NO_PRICES),
        ({"pair": ("", "")}, Reason.NO_PRICES),
        ({"pair": ("x" * 5_000, "USD")}, Reason.BAD_CALLDATA),
    ],
)
def test_query__bad__says_why(og: Fork, change: dict, reason: Reason) -> None:
    assert refusal(og, HISTORICAL, query_data(**change)) == reason
    assert refusal(og, HISTORICAL, feed_data(cid_of(og), **change)) == reason


def test_run_on_price_feed__model_that_does_not_fit__says_why(og: Fork) -> None:
    assert refusal(og, HISTORICAL, feed_data("QmUnknown")) == Reason.UNKNOWN_MODEL
    assert refusal(og, HISTORICAL, feed_data(cid_of(og), candles=3)) == Reason.BAD_INPUT


@pytest.mark.parametrize("at", [4 + 31, 4 + 32, 4 + 3 * 32, 4 + 6 * 32, 4 + 7 * 32, -1])
def test_query__damaged_calldata__is_refused(og: Fork, at: int) -> None:
    data = bytearray(query_data())
    data[at] ^= 0x11
    assert refusal(og, HISTORICAL, bytes(data)) == Reason.BAD_CALLDATA


def test_query__older_generation__is_unknown(og: Fork) -> None:
    assert refusal(og, HISTORICAL, bytes.fromhex("45085f3d")) == Reason.UNKNOWN_FUNCTION
    assert refusal(og, HISTORICAL, query_data(), **{"from": og.user, "value": 1}) == Reason.NOT_PAYABLE


def test_query__chain_without_feed__says_so() -> None:
    fork = opengradient_fork(feed=None)
    try:
        assert refusal(fork, HISTORICAL, query_data()) == Reason.NO_PRICES
        assert refusal(fork, HISTORICAL, feed_data(cid_of(fork))) == Reason.NO_PRICES
    finally:
        fork.close()


def test_query__candles_still_to_come__show_as_blocks_reach_them() -> None:
    now = 4_000_000_000 - 4_000_000_000 % HOUR
    ahead = (now - FIRST) // HOUR
    fork = opengradient_fork(feed=price_feed([row(ahead + index) for index in range(-3, 3)], 60))
    try:
        seen = []
        for hour in range(2):
            fork.chain.rpc("evm_setNextBlockTimestamp", [now + (hour + 1) * HOUR])
            fork.chain.mine()
            seen += candles(fork, candles=1)
        assert seen[1] == seen[0] + 1
    finally:
        fork.close()


def test_gas__of_a_query__follows_what_is_read_and_returned() -> None:
    two = historical_gas(query_data(), False, HOURLY)
    assert two == gas.QUERY_BASE + 2 * gas.QUERY_VALUE + 2 * gas.QUERY_ROW
    days = historical_gas(query_data(minutes=24 * 60, types=(HIGH, LOW)), False, HOURLY)
    assert days == gas.QUERY_BASE + 4 * gas.QUERY_VALUE + 48 * gas.QUERY_ROW
    inference = historical_gas(feed_data("Qm"), True, HOURLY) - two
    assert inference == INFER_BASE + 2 * INFER_PER_INPUT
    assert historical_gas(feed_data("Qm"), False, HOURLY) - two == inference + INFER_RECORD
    proven = OpenGradientConfig(feed=hourly_feed(), feed_mode=Mode.ZK)
    assert historical_gas(feed_data("Qm"), True, proven) - two == inference + PROOF_VERIFICATION


@pytest.mark.parametrize("data", [query_data(candles=2**32 - 1), query_data(types=()), abi.QUERY_CANDLES])
def test_gas__of_what_is_refused__is_the_base(data: bytes) -> None:
    assert historical_gas(data, False, HOURLY) == gas.QUERY_BASE
    assert historical_gas(query_data(), False, NO_FEED) == gas.QUERY_BASE
    assert historical_gas(b"", False, HOURLY) == UNKNOWN_CALL


def test_gas__hostile_offsets__are_a_number() -> None:
    for word in (0, 1, 2**255, 2**256 - 1):
        data = abi.RUN_ON_PRICE_FEED + word.to_bytes(32, "big") * 12
        assert historical_gas(data, False, HOURLY) >= gas.QUERY_BASE


def test_query__with_zero_words_behind__is_the_same(og: Fork) -> None:
    assert encode([abi.QUERY], [query()]) == query_data()[4:]
    padded = og.w3.eth.call({"to": HISTORICAL, "data": query_data() + bytes(64)})
    assert padded == og.w3.eth.call({"to": HISTORICAL, "data": query_data()})
