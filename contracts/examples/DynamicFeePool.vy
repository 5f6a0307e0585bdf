# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title DynamicFeePool
@license Apache-2.0
@author Foretell
@notice A pool of a tokenised index against ether whose swap fee follows a model's volatility forecast.
        The model's inputs are computed on chain from the feed. A swap that asks for PROVEN has no trust gap. One
        that asks for less acts at once, within a bond: what a wrong forecast can cost, trader and pool together,
        is at most amount * (MAX_FEE - MIN_FEE), and that much is insured; otherwise the swap reverts.
@custom:invariant The ether balance is at least ether_reserve plus what is owed to traders and collected.
                  Each insured swap ends at most once, as final or as reversed.
@custom:security Example. The feed's keeper is trusted for prices; the token must be a plain ERC-20.
"""

from ethereum.ercs import IERC20
from ..interfaces import IIndexFeed
from ..interfaces import IInferenceConsumer
from ..lib import assured
from ..lib import inference
from ..lib import inference_consumer

implements: IInferenceConsumer

initializes: inference_consumer
initializes: assured[inference_consumer := inference_consumer]

MAX_INPUTS: constant(uint256) = 256
MAX_OUTPUTS: constant(uint256) = 64

WAD: constant(uint256) = 10**18
# Fee rates, WAD: 0.05 % and 0.2 % for each percent of forecast daily volatility, at most 1 %.
MIN_FEE: public(constant(uint256)) = 5 * 10**14
FEE_PER_PERCENT: public(constant(uint256)) = 2 * 10**15
MAX_FEE: public(constant(uint256)) = 10**16

event LiquidityAdded:
    provider: indexed(address)
    shares: uint256
    ether_amount: uint256
    token_amount: uint256

event LiquidityRemoved:
    provider: indexed(address)
    shares: uint256
    ether_amount: uint256
    token_amount: uint256

event Swapped:
    trader: indexed(address)
    request_id: indexed(bytes32)   # zero when the fee was proven
    bought: bool                   # tokens for ether, otherwise ether for tokens
    ether_amount: uint256          # before the fee
    token_amount: uint256
    fee_rate: uint256
    assurance: uint8

event FeeSettled:
    request_id: indexed(bytes32)

event FeeReversed:
    request_id: indexed(bytes32)
    trader: indexed(address)
    fee_rate: uint256
    right_fee_rate: uint256        # zero when no right forecast was proven
    compensation: uint256
    trader_part: uint256

event Collected:
    amount: uint256
    to_reserve: uint256

event Claimed:
    trader: indexed(address)
    amount: uint256

# A swap whose fee is not final.
struct OpenSwap:
    trader: address
    ether_amount: uint256
    fee_rate: uint256

# What a swap is charged, and why.
struct Charge:
    fee_rate: uint256
    assurance: uint8
    request_id: bytes32

model_id: public(immutable(bytes32))
feed: public(immutable(address))
token: public(immutable(address))

ether_reserve: public(uint256)
token_reserve: public(uint256)
total_shares: public(uint256)
shares_of: public(HashMap[address, uint256])

open_swaps: public(HashMap[bytes32, OpenSwap])
# Ether owed to traders who paid too much, and the part of it that is still in Settlement.
owed_to: public(HashMap[address, uint256])
uncollected: public(uint256)


@deploy
def __init__(settlement: address, model_id_: bytes32, feed_: address, token_: address):
    """
    @param settlement Settlement, where results are insured.
    @param model_id_ Model: 22 daily returns in, next day's volatility out, both in percent.
    @param feed_ IndexFeed.
    @param token_ The tokenised index.
    """
    inference_consumer.__init__(settlement)
    assert feed_ != empty(address), "pool: feed is zero"
    assert token_ != empty(address), "pool: token is zero"
    model_id = model_id_
    feed = feed_
    token = token_


# Reentrant: Settlement sends while this contract withdraws.
@external
@payable
@reentrant
def __default__():
    inference_consumer.check_payment()


### Traders


@external
@payable
def buy(min_tokens: uint256, min_assurance: uint8) -> uint256:
    """
    @notice Swap the ether sent for tokens.
    @dev Below PROVEN the fee is insured; reverts when the operator's free bond does not cover it.
    @param min_tokens Fewest tokens that the trader accepts.
    @param min_assurance What the forecast must be worth; the transaction waits for it.
    @return Tokens sent.
    """
    assert msg.value > 0, "pool: nothing to swap"
    charge: Charge = self._charge(msg.value, min_assurance)
    paid: uint256 = msg.value - self._part(msg.value, charge.fee_rate)
    tokens: uint256 = self.token_reserve * paid // (self.ether_reserve + paid)
    assert tokens >= min_tokens, "pool: too few tokens"

    self.ether_reserve += msg.value
    self.token_reserve -= tokens
    self._log_swap(charge, True, msg.value, tokens)
    self._send_tokens(msg.sender, tokens)
    return tokens


@external
def sell(tokens: uint256, min_ether: uint256, min_assurance: uint8) -> uint256:
    """
    @notice Swap tokens, which the pool must be allowed to take, for ether.
    @dev As `buy`; the fee is taken from the ether.
    @param tokens Tokens to sell.
    @param min_ether Least wei that the trader accepts.
    @param min_assurance What the forecast must be worth; the transaction waits for it.
    @return Wei sent.
    """
    gross: uint256 = self.ether_reserve * tokens // (self.token_reserve + tokens)
    assert gross > 0, "pool: nothing to swap"
    charge: Charge = self._charge(gross, min_assurance)
    amount: uint256 = gross - self._part(gross, charge.fee_rate)
    assert amount >= min_ether, "pool: too little ether"

    self.ether_reserve -= amount
    self.token_reserve += tokens
    self._log_swap(charge, False, gross, tokens)
    self._take_tokens(msg.sender, tokens)
    self._send_ether(msg.sender, amount)
    return amount


@external
def claim() -> uint256:
    """
    @notice Send the caller what it paid too much in swaps whose forecast was reversed.
    @dev Fetches the compensation from Settlement first when it is still there.
    @return Wei sent.
    """
    amount: uint256 = self.owed_to[msg.sender]
    assert amount > 0, "pool: nothing to claim"
    if self.uncollected > 0:
        self._collect()
    self.owed_to[msg.sender] = 0
    log Claimed(trader=msg.sender, amount=amount)
    self._send_ether(msg.sender, amount)
    return amount


### Liquidity providers


@external
@payable
def add_liquidity(tokens: uint256, min_shares: uint256) -> uint256:
    """
    @notice Put ether and tokens into the pool.
    @dev The first provider sets the price. Later ones should keep it: the smaller side counts.
    @param tokens Tokens, which the pool must be allowed to take.
    @param min_shares Fewest shares that the provider accepts.
    @return Shares.
    """
    shares: uint256 = isqrt(msg.value * tokens)
    if self.total_shares > 0:
        shares = min(
            msg.value * self.total_shares // self.ether_reserve,
            tokens * self.total_shares // self.token_reserve,
        )
    assert shares > 0, "pool: no liquidity"
    assert shares >= min_shares, "pool: too few shares"

    self.ether_reserve += msg.value
    self.token_reserve += tokens
    self.total_shares += shares
    self.shares_of[msg.sender] += shares
    log LiquidityAdded(provider=msg.sender, shares=shares, ether_amount=msg.value, token_amount=tokens)
    self._take_tokens(msg.sender, tokens)
    return shares


@external
def remove_liquidity(shares: uint256) -> (uint256, uint256):
    """
    @notice Take a part of the reserves out.
    @param shares The caller's shares to give up.
    @return Wei and tokens sent.
    """
    assert shares > 0, "pool: no liquidity"
    assert shares <= self.shares_of[msg.sender], "pool: too many shares"
    amount: uint256 = self.ether_reserve * shares // self.total_shares
    tokens: uint256 = self.token_reserve * shares // self.total_shares

    self.ether_reserve -= amount
    self.token_reserve -= tokens
    self.total_shares -= shares
    self.shares_of[msg.sender] -= shares
    log LiquidityRemoved(provider=msg.sender, shares=shares, ether_amount=amount, token_amount=tokens)
    self._send_tokens(msg.sender, tokens)
    self._send_ether(msg.sender, amount)
    return amount, tokens


@external
def collect() -> uint256:
    """
    @notice Fetch compensations from Settlement. Anyone may.
    @return Wei received.
    """
    return self._collect()


### Settlement


@external
def on_inference(request_id: bytes32, outputs: DynArray[int256, MAX_OUTPUTS], assurance: uint8):
    """
    @notice Not used: the pool opens no asynchronous requests.
    @dev Only Settlement.
    @param request_id The request.
    @param outputs Ignored.
    @param assurance Ignored.
    """
    inference_consumer.check_callback()


@external
def on_inference_final(request_id: bytes32, outputs: DynArray[int256, MAX_OUTPUTS], assurance: uint8):
    """
    @notice The forecast behind a swap stands: its exposure ends.
    @dev Only Settlement.
    @param request_id The request of the swap.
    @param outputs The forecast, known already.
    @param assurance What it is worth now.
    """
    inference_consumer.check_callback()
    self._close(request_id)
    log FeeSettled(request_id=request_id)


@external
def on_inference_reversed(
    request_id: bytes32, outputs: DynArray[int256, MAX_OUTPUTS], compensation: uint256
):
    """
    @notice The forecast behind a swap was wrong. The compensation makes whole whom the wrong fee harmed: the
            trader who paid too much gets the difference, the rest goes to the reserves.
    @dev Only Settlement. Without a right forecast the trader is treated as if the least fee had been right and
         the pool as if the highest had been: the two parts are just what was insured.
    @param request_id The request of the swap.
    @param outputs The right forecast, or nothing.
    @param compensation Wei credited in Settlement; `collect` fetches them.
    """
    inference_consumer.check_callback()
    swap: OpenSwap = self._close(request_id)
    right_rate: uint256 = 0
    least_rate: uint256 = MIN_FEE
    if len(outputs) > 0:
        right_rate = self._rate(outputs[0])
        least_rate = right_rate
    # At most the compensation, because rounding up a difference of rates is not less than this difference.
    charged: uint256 = self._part(swap.ether_amount, max(swap.fee_rate, least_rate))
    due: uint256 = charged - self._part(swap.ether_amount, least_rate)
    self.owed_to[swap.trader] += due
    self.uncollected += due
    log FeeReversed(
        request_id=request_id,
        trader=swap.trader,
        fee_rate=swap.fee_rate,
        right_fee_rate=right_rate,
        compensation=compensation,
        trader_part=due,
    )


### Views


@external
@view
def total_exposure() -> uint256:
    """
    @notice Wei that forecasts which are not final put at risk.
    @return The sum of what is insured.
    """
    return assured.total_exposure


@external
@view
def fee_rate(volatility: int256) -> uint256:
    """
    @notice Fee rate for a forecast.
    @param volatility Next day's volatility in percent, WAD.
    @return WAD.
    """
    return self._rate(volatility)


@external
@view
def value_at_risk(ether_amount: uint256) -> uint256:
    """
    @notice What a wrong forecast can cost trader and pool together in a swap.
    @param ether_amount Wei before the fee.
    @return Wei.
    """
    return self._value_at_risk(ether_amount)


### Internals


@internal
def _charge(ether_amount: uint256, min_assurance: uint8) -> Charge:
    inputs: DynArray[int256, MAX_INPUTS] = staticcall IIndexFeed(feed).recent_returns()
    outputs: DynArray[int256, MAX_OUTPUTS] = []
    receipt_id: bytes32 = empty(bytes32)
    outputs, receipt_id = inference.infer(model_id, inputs, min_assurance)
    assured.require_assurance(receipt_id, min_assurance)
    assurance: uint8 = inference.assurance_of(receipt_id)
    rate: uint256 = self._rate(outputs[0])
    request_id: bytes32 = empty(bytes32)
    if assurance < inference.PROVEN:
        at_risk: uint256 = self._value_at_risk(ether_amount)
        request_id = assured.insure(receipt_id, model_id, inputs, at_risk, 0)
        self.open_swaps[request_id] = OpenSwap(
            trader=msg.sender, ether_amount=ether_amount, fee_rate=rate
        )
    return Charge(fee_rate=rate, assurance=assurance, request_id=request_id)


# Linear in the forecast; a forecast that makes no sense (negative, huge) meets a bound.
@internal
@pure
def _rate(volatility: int256) -> uint256:
    capped: uint256 = min(convert(max(volatility, 0), uint256), 100 * WAD)
    return min(MIN_FEE + FEE_PER_PERCENT * capped // WAD, MAX_FEE)


# Rounded up: in the pool's favour.
@internal
@pure
def _part(amount: uint256, rate: uint256) -> uint256:
    return (amount * rate + WAD - 1) // WAD


@internal
@pure
def _value_at_risk(ether_amount: uint256) -> uint256:
    return self._part(ether_amount, MAX_FEE - MIN_FEE)


@internal
def _close(request_id: bytes32) -> OpenSwap:
    swap: OpenSwap = self.open_swaps[request_id]
    assert swap.trader != empty(address), "pool: no open swap"
    self.open_swaps[request_id] = empty(OpenSwap)
    assured.release(request_id)
    return swap


# Settlement credits compensations before it calls back, so what it sends covers all that is owed until now.
@internal
def _collect() -> uint256:
    amount: uint256 = inference_consumer.collect()
    to_reserve: uint256 = amount - self.uncollected
    self.uncollected = 0
    self.ether_reserve += to_reserve
    log Collected(amount=amount, to_reserve=to_reserve)
    return amount


@internal
def _log_swap(charge: Charge, bought: bool, ether_amount: uint256, token_amount: uint256):
    log Swapped(
        trader=msg.sender,
        request_id=charge.request_id,
        bought=bought,
        ether_amount=ether_amount,
        token_amount=token_amount,
        fee_rate=charge.fee_rate,
        assurance=charge.assurance,
    )


@internal
def _send_tokens(to: address, amount: uint256):
    assert extcall IERC20(token).transfer(to, amount), "pool: token transfer failed"


@internal
def _take_tokens(owner: address, amount: uint256):
    assert extcall IERC20(token).transferFrom(owner, self, amount), "pool: token transfer failed"


@internal
def _send_ether(to: address, amount: uint256):
    raw_call(to, b"", value=amount, gas=msg.gas, max_outsize=0)
