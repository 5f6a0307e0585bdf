from dataclasses import dataclass
from math import isqrt

import pytest
from eth_utils import keccak

from foretell_spec.addresses import PRECOMPILE, ZERO_ADDRESS
from foretell_spec.bundle import bundle_digest, sign_digest
from foretell_spec.tensor import WAD, quantise, tensor_hash
from tests.kit.chain import CHAIN_ID, Chain, Contract, Result, reverts
from tests.kit.compiled import compiled
from tests.kit.manifest import CHALLENGE_WINDOW, PROOF_WINDOW, SCALE
from tests.kit.world import DISPUTE_BOND, ETHER, PROOF, PROVEN, SIGNED, OperatorAccount, World

CLOSES = [4000 + 2 * i for i in range(23)]
LIQUIDITY = 100 * ETHER
TOKENS = 500 * ETHER
MIN_FEE, MAX_FEE = 5 * 10**14, 10**16
NOBODYS = b"\0" * 32


@dataclass
class PoolWorld:
    """A pool with liquidity, and its model: 22 returns in, their sum out."""

    world: World
    pool: Contract
    feed: Contract
    token: Contract
    model_id: bytes
    trader: str

    @property
    def inputs_q(self) -> tuple[int, ...]:
        return quantise(self.feed.recent_returns(), SCALE)

    @property
    def right(self) -> tuple[int, ...]:
        return (sum(self.inputs_q),)

    def outputs_for(self, percent: float) -> tuple[int, ...]:
        return (int(percent * 2**SCALE),)

    def script(self, outputs: tuple[int, ...], assurance: int = SIGNED) -> None:
        self.world.script(outputs, assurance=assurance)

    def buy(self, amount: int = ETHER, assurance: int = SIGNED, min_tokens: int = 0) -> Result:
        result: Result = self.pool.buy(min_tokens, assurance, sender=self.trader, value=amount)
        return result

    def sell(self, tokens: int, assurance: int = SIGNED, min_ether: int = 0) -> Result:
        result: Result = self.pool.sell(tokens, min_ether, assurance, sender=self.trader)
        return result

    def challenge(self, request_id: bytes, outputs: tuple[int, ...], operator: OperatorAccount) -> None:
        digest = bundle_digest(
            CHAIN_ID, self.world.settlement.address, request_id, self.model_id, tensor_hash(self.inputs_q),
            tensor_hash(outputs), NOBODYS, operator.address,
        )  # fmt: skip
        signature = sign_digest(operator.key, digest)
        self.world.settlement.challenge(request_id, outputs, operator.address, signature)

    def reverse(self, request_id: bytes) -> Result:
        """Bob challenges with the right output and proves it."""
        self.challenge(request_id, self.right, self.world.bob)
        result: Result = self.world.settlement.prove(request_id, self.inputs_q, self.right, PROOF)
        return result


@pytest.fixture
def pw(world: World) -> PoolWorld:
    feed = world.deploy("examples/IndexFeed.vy", world.deployer, 1, CLOSES)
    token = world.deploy("examples/IndexToken.vy", 10 * TOKENS)
    manifest = world.make_manifest(metadata_hash=keccak(text="volatility"), input_size=22)
    model_id = world.register_model(manifest)
    pool = world.deploy(
        "examples/DynamicFeePool.vy", world.settlement.address, model_id, feed.address, token.address
    )
    trader = world.chain.account("trader")
    token.approve(pool.address, 2**256 - 1, sender=world.deployer)
    token.approve(pool.address, 2**256 - 1, sender=trader)
    token.transfer(trader, TOKENS, sender=world.deployer)
    pool.add_liquidity(TOKENS, 0, sender=world.deployer, value=LIQUIDITY)
    return PoolWorld(world, pool, feed, token, model_id, trader)


def rate_of(output: tuple[int, ...]) -> int:
    """0.05 % and 0.2 % for each percent of volatility, within the bounds."""
    return max(MIN_FEE, min(MAX_FEE, MIN_FEE + 2 * 10**15 * output[0] // 2**SCALE))


def part(amount: int, rate: int) -> int:
    """Rounded up."""
    return -(-amount * rate // WAD)


# ---------------------------------------------------------------------- constructor and fee


@pytest.mark.parametrize(
    ("settlement", "feed", "token", "reason"),
    [
        (ZERO_ADDRESS, PRECOMPILE, PRECOMPILE, "consumer: settlement is zero"),
        (PRECOMPILE, ZERO_ADDRESS, PRECOMPILE, "pool: feed is zero"),
        (PRECOMPILE, PRECOMPILE, ZERO_ADDRESS, "pool: token is zero"),
    ],
)
def test_constructor__zero__reverts(
    world: World, settlement: str, feed: str, token: str, reason: str
) -> None:
    with reverts(reason):
        world.deploy("examples/DynamicFeePool.vy", settlement, NOBODYS, feed, token)


def test_constructor__parameters__are_public(pw: PoolWorld) -> None:
    assert (pw.pool.model_id(), pw.pool.feed(), pw.pool.token()) == (
        pw.model_id,
        pw.feed.address,
        pw.token.address,
    )
    assert (pw.pool.MIN_FEE(), pw.pool.MAX_FEE()) == (MIN_FEE, MAX_FEE)


@pytest.mark.parametrize(
    ("volatility", "rate"),
    [
        (0, MIN_FEE),
        (-(2**255), MIN_FEE),
        (-1, MIN_FEE),
        (WAD, MIN_FEE + 2 * 10**15),
        (WAD // 2, MIN_FEE + 10**15),
        (475 * WAD // 100, MAX_FEE),
        (475 * WAD // 100 - 500, MAX_FEE - 1),
        (2**255 - 1, MAX_FEE),
    ],
)
def test_fee_rate__forecast__is_linear_within_bounds(pw: PoolWorld, volatility: int, rate: int) -> None:
    assert pw.pool.fee_rate(volatility) == rate


def test_default__ether_from_anyone__reverts(pw: PoolWorld) -> None:
    with reverts("consumer: only settlement pays"):
        pw.world.chain.send(pw.pool.address, value=1)


# ---------------------------------------------------------------------- swaps


def test_buy__proven__has_no_gap(pw: PoolWorld) -> None:
    pw.script(pw.right, PROVEN)
    before = pw.token.balanceOf(pw.trader)
    result = pw.buy(ETHER, PROVEN)
    paid = ETHER - part(ETHER, rate_of(pw.right))
    tokens = TOKENS * paid // (LIQUIDITY + paid)
    assert result.value == tokens
    assert pw.token.balanceOf(pw.trader) == before + tokens
    assert (pw.pool.ether_reserve(), pw.pool.token_reserve()) == (LIQUIDITY + ETHER, TOKENS - tokens)
    assert pw.pool.total_exposure() == 0
    assert pw.world.bond_of(pw.world.alice).locked == 0
    assert vars(result.event("Swapped")) == {
        "trader": pw.trader, "request_id": NOBODYS, "bought": True, "ether_amount": ETHER,
        "token_amount": tokens,
        "fee_rate": rate_of(pw.right), "assurance": PROVEN,
    }  # fmt: skip


def test_buy__signed__acts_at_once_and_is_insured(pw: PoolWorld) -> None:
    pw.script(pw.right)
    swap = pw.buy(ETHER).event("Swapped")
    at_risk = part(ETHER, MAX_FEE - MIN_FEE)
    assert swap.assurance == SIGNED
    stored = pw.world.settlement.request_of(swap.request_id)
    assert (stored.requester, stored.policy.value_at_risk, stored.model_id) == (
        pw.pool.address,
        at_risk,
        pw.model_id,
    )
    assert pw.pool.value_at_risk(ETHER) == pw.pool.total_exposure() == at_risk
    assert pw.world.bond_of(pw.world.alice).locked == at_risk + DISPUTE_BOND
    kept = vars(pw.pool.open_swaps(swap.request_id))
    assert kept == {"trader": pw.trader, "ether_amount": ETHER, "fee_rate": rate_of(pw.right)}


def test_buy__signed__bond_does_not_cover__reverts(pw: PoolWorld) -> None:
    pw.world.operators.begin_unbond(
        100 * ETHER - DISPUTE_BOND - part(ETHER, MAX_FEE - MIN_FEE), sender=pw.world.alice.address
    )
    pw.script(pw.right)
    with reverts("assured: bond does not cover the value at risk"):
        pw.buy(ETHER + 106)
    pw.buy(ETHER)


def test_buy__signed__no_free_bond_at_all__reverts(pw: PoolWorld) -> None:
    pw.world.operators.begin_unbond(100 * ETHER - DISPUTE_BOND // 2, sender=pw.world.alice.address)
    pw.script(pw.right)
    with reverts("assured: bond does not cover the value at risk"):
        pw.buy(ETHER)


def test_buy__less_assurance_than_asked__reverts(pw: PoolWorld) -> None:
    pw.script(pw.right, SIGNED)
    with reverts("assured: assurance too low"):
        pw.buy(ETHER, PROVEN)


def test_buy__no_precompile__reverts() -> None:
    """On a chain without the precompile its address has no code, and a call of it answers nothing."""
    chain = Chain()
    feed = chain.deploy(compiled("examples/IndexFeed.vy"), chain.account("deployer"), 1, CLOSES)
    somebody = chain.account("somebody")
    pool = chain.deploy(compiled("examples/DynamicFeePool.vy"), somebody, NOBODYS, feed.address, somebody)
    with reverts("inference: no precompile here"):
        pool.buy(0, PROVEN, value=ETHER)


def test_buy__nothing__reverts(pw: PoolWorld) -> None:
    pw.script(pw.right, PROVEN)
    with reverts("pool: nothing to swap"):
        pw.buy(0, PROVEN)


def test_buy__slippage__reverts(pw: PoolWorld) -> None:
    pw.script(pw.right, PROVEN)
    with pw.world.chain.isolate():
        tokens = pw.buy(ETHER, PROVEN).value
    with reverts("pool: too few tokens"):
        pw.buy(ETHER, PROVEN, min_tokens=tokens + 1)
    assert pw.buy(ETHER, PROVEN, min_tokens=tokens).value == tokens


def test_sell__proven__takes_the_fee_from_the_ether(pw: PoolWorld) -> None:
    pw.script(pw.right, PROVEN)
    before = pw.world.chain.balance(pw.trader)
    result = pw.sell(5 * ETHER, PROVEN)
    gross = LIQUIDITY * 5 * ETHER // (TOKENS + 5 * ETHER)
    amount = gross - part(gross, rate_of(pw.right))
    assert result.value == amount
    assert pw.world.chain.balance(pw.trader) == before + amount
    assert (pw.pool.ether_reserve(), pw.pool.token_reserve()) == (LIQUIDITY - amount, TOKENS + 5 * ETHER)
    assert pw.token.balanceOf(pw.pool.address) == TOKENS + 5 * ETHER
    swap = result.event("Swapped")
    assert (swap.bought, swap.ether_amount, swap.token_amount) == (False, gross, 5 * ETHER)


def test_sell__signed__insures_the_gross_amount(pw: PoolWorld) -> None:
    pw.script(pw.right)
    swap = pw.sell(5 * ETHER).event("Swapped")
    assert pw.pool.total_exposure() == part(swap.ether_amount, MAX_FEE - MIN_FEE)


def test_sell__nothing__reverts(pw: PoolWorld) -> None:
    pw.script(pw.right, PROVEN)
    with reverts("pool: nothing to swap"):
        pw.sell(0, PROVEN)


def test_sell__slippage__reverts(pw: PoolWorld) -> None:
    pw.script(pw.right, PROVEN)
    with pw.world.chain.isolate():
        amount = pw.sell(ETHER, PROVEN).value
    with reverts("pool: too little ether"):
        pw.sell(ETHER, PROVEN, min_ether=amount + 1)
    assert pw.sell(ETHER, PROVEN, min_ether=amount).value == amount


def test_swap__inputs__are_the_feeds_returns(pw: PoolWorld) -> None:
    pw.script(pw.right)
    request_id = pw.buy().event("Swapped").request_id
    assert pw.world.settlement.request_of(request_id).input_hash == tensor_hash(pw.inputs_q)


# ---------------------------------------------------------------------- final


def test_final__unchallenged__ends_the_exposure(pw: PoolWorld) -> None:
    pw.script(pw.right)
    request_id = pw.buy().event("Swapped").request_id
    pw.world.chain.mine(CHALLENGE_WINDOW)
    result = pw.world.settlement.finalise(request_id, pw.right)
    assert "CallbackFailed" not in result.names()
    assert result.event("FeeSettled").request_id == request_id
    assert pw.pool.total_exposure() == 0


def test_final__two_swaps__each_ends_its_own(pw: PoolWorld) -> None:
    pw.script(pw.right)
    first, second = (pw.buy(amount).event("Swapped").request_id for amount in (ETHER, 2 * ETHER))
    pw.world.settlement.prove(first, pw.inputs_q, pw.right, PROOF)
    assert pw.pool.total_exposure() == pw.pool.value_at_risk(2 * ETHER)
    pw.world.settlement.prove(second, pw.inputs_q, pw.right, PROOF)
    assert pw.pool.total_exposure() == 0


@pytest.mark.parametrize("name", ["on_inference", "on_inference_final", "on_inference_reversed"])
def test_callbacks__from_anyone_but_settlement__revert(pw: PoolWorld, name: str) -> None:
    pw.script(pw.right)
    request_id = pw.buy().event("Swapped").request_id
    with reverts("consumer: only settlement"):
        getattr(pw.pool, name)(request_id, [1], 1)


@pytest.mark.parametrize("name", ["on_inference_final", "on_inference_reversed"])
def test_callbacks__unknown_swap__revert(world: World, name: str) -> None:
    pool = world.deploy("examples/DynamicFeePool.vy", world.stranger, NOBODYS, PRECOMPILE, PRECOMPILE)
    with reverts("pool: no open swap"):
        getattr(pool, name)(NOBODYS, [1], 1, sender=world.stranger)


# ---------------------------------------------------------------------- reversed


def test_reversed__fee_was_too_low__pool_is_made_whole(pw: PoolWorld) -> None:
    pw.script(pw.outputs_for(0))
    request_id = pw.buy(10 * ETHER).event("Swapped").request_id
    reserve = pw.pool.ether_reserve()
    result = pw.reverse(request_id)
    compensation = part(10 * ETHER, MAX_FEE - MIN_FEE)
    assert vars(result.event("FeeReversed")) == {
        "request_id": request_id, "trader": pw.trader, "fee_rate": MIN_FEE,
        "right_fee_rate": rate_of(pw.right),
        "compensation": compensation, "trader_part": 0,
    }  # fmt: skip
    assert pw.pool.total_exposure() == 0
    collected = pw.pool.collect(sender=pw.world.stranger)
    assert vars(collected.event("Collected")) == {"amount": compensation, "to_reserve": compensation}
    harm = part(10 * ETHER, rate_of(pw.right)) - part(10 * ETHER, MIN_FEE)
    assert pw.pool.ether_reserve() - reserve == compensation >= harm > 0
    assert pw.world.chain.balance(pw.pool.address) == pw.pool.ether_reserve()


def test_reversed__fee_was_too_high__trader_gets_the_difference(pw: PoolWorld) -> None:
    pw.script(pw.outputs_for(100))
    request_id = pw.buy(10 * ETHER).event("Swapped").request_id
    pw.reverse(request_id)
    due = part(10 * ETHER, MAX_FEE) - part(10 * ETHER, rate_of(pw.right))
    compensation = part(10 * ETHER, MAX_FEE - MIN_FEE)
    assert pw.pool.owed_to(pw.trader) == pw.pool.uncollected() == due
    reserve, before = pw.pool.ether_reserve(), pw.world.chain.balance(pw.trader)
    result = pw.pool.claim(sender=pw.trader)
    assert result.value == due
    assert vars(result.event("Claimed")) == {"trader": pw.trader, "amount": due}
    assert pw.world.chain.balance(pw.trader) == before + due
    assert pw.pool.ether_reserve() == reserve + compensation - due
    assert (pw.pool.owed_to(pw.trader), pw.pool.uncollected()) == (0, 0)
    assert pw.world.chain.balance(pw.pool.address) == pw.pool.ether_reserve()
    with reverts("pool: nothing to claim"):
        pw.pool.claim(sender=pw.trader)


def test_claim__collected_before__pays_from_what_was_kept_aside(pw: PoolWorld) -> None:
    pw.script(pw.outputs_for(100))
    pw.reverse(pw.buy(10 * ETHER).event("Swapped").request_id)
    pw.pool.collect()
    due = pw.pool.owed_to(pw.trader)
    assert pw.world.chain.balance(pw.pool.address) == pw.pool.ether_reserve() + due
    pw.pool.claim(sender=pw.trader)
    assert pw.world.chain.balance(pw.pool.address) == pw.pool.ether_reserve()


def test_reversed__undetermined__both_get_what_was_insured_for_them(pw: PoolWorld) -> None:
    pw.script(pw.outputs_for(2))
    request_id = pw.buy(10 * ETHER).event("Swapped").request_id
    charged = rate_of(pw.outputs_for(2))
    pw.challenge(request_id, pw.right, pw.world.bob)
    pw.world.chain.mine(PROOF_WINDOW + 1)
    result = pw.world.settlement.expire(request_id)
    event = result.event("FeeReversed")
    assert (event.right_fee_rate, event.compensation) == (0, part(10 * ETHER, MAX_FEE - MIN_FEE))
    assert event.trader_part == part(10 * ETHER, charged) - part(10 * ETHER, MIN_FEE)
    assert event.compensation - event.trader_part >= part(10 * ETHER, MAX_FEE) - part(10 * ETHER, charged) - 1


@pytest.mark.parametrize("amount", [1, 101, ETHER + 1])
@pytest.mark.parametrize("percent", [0.3, 2, 100])
def test_reversed__any_amount__traders_part_is_covered(pw: PoolWorld, amount: int, percent: float) -> None:
    pw.script(pw.outputs_for(percent))
    request_id = pw.buy(amount).event("Swapped").request_id
    pw.challenge(request_id, pw.right, pw.world.bob)
    pw.world.chain.mine(PROOF_WINDOW + 1)
    event = pw.world.settlement.expire(request_id).event("FeeReversed")
    assert 0 <= event.trader_part <= event.compensation
    pw.pool.collect()
    assert pw.world.chain.balance(pw.pool.address) == pw.pool.ether_reserve() + pw.pool.owed_to(pw.trader)


def test_claim__reentered__pays_once(pw: PoolWorld) -> None:
    trader = pw.world.deploy("mocks/MockConsumer.vy")
    pw.script(pw.outputs_for(100))
    bought = trader.execute(pw.pool.address, pw.pool.calldata("buy", 0, SIGNED), value=10 * ETHER)
    pw.reverse(bought.event("Swapped").request_id)
    due = pw.pool.owed_to(trader.address)
    trader.set_reentry(pw.pool.address, pw.pool.calldata("claim"))
    trader.execute(pw.pool.address, pw.pool.calldata("claim"))
    assert pw.world.chain.balance(trader.address) == due
    assert not trader.reentry_succeeded()


def test_claim__reentered_into_a_swap__is_locked(pw: PoolWorld) -> None:
    trader = pw.world.deploy("mocks/MockConsumer.vy")
    pw.token.transfer(trader.address, 10 * ETHER, sender=pw.world.deployer)
    trader.execute(pw.token.address, pw.token.calldata("approve", pw.pool.address, 2**256 - 1))
    pw.script(pw.right, PROVEN)
    payload = pw.pool.calldata("sell", ETHER, 0, PROVEN)
    trader.set_reentry(pw.pool.address, payload)
    trader.execute(pw.pool.address, payload)
    assert not trader.reentry_succeeded()


# ---------------------------------------------------------------------- liquidity


def test_add_liquidity__first__sets_the_price(pw: PoolWorld) -> None:
    assert pw.pool.total_shares() == pw.pool.shares_of(pw.world.deployer) == isqrt(LIQUIDITY * TOKENS)


def test_add_liquidity__later__counts_the_smaller_side(pw: PoolWorld) -> None:
    total = pw.pool.total_shares()
    result = pw.pool.add_liquidity(TOKENS // 10, 0, sender=pw.trader, value=LIQUIDITY // 5)
    assert result.value == total // 10
    assert vars(result.event("LiquidityAdded")) == {
        "provider": pw.trader, "shares": total // 10, "ether_amount": LIQUIDITY // 5,
        "token_amount": TOKENS // 10,
    }  # fmt: skip
    with pw.world.chain.isolate():
        more = pw.pool.add_liquidity(TOKENS // 5, 0, sender=pw.trader, value=LIQUIDITY // 10).value
        assert more < total // 10


def test_add_liquidity__nothing__reverts(pw: PoolWorld) -> None:
    with reverts("pool: no liquidity"):
        pw.pool.add_liquidity(0, 0, sender=pw.trader, value=ETHER)


def test_add_liquidity__too_few_shares__reverts(pw: PoolWorld) -> None:
    with reverts("pool: too few shares"):
        pw.pool.add_liquidity(TOKENS, 2**255, sender=pw.trader, value=ETHER)


def test_add_liquidity__exactly_as_many_shares_as_wanted__is_enough(pw: PoolWorld) -> None:
    wanted = pw.pool.total_shares() // 10
    arguments = (TOKENS // 10, wanted)
    assert pw.pool.add_liquidity(*arguments, sender=pw.trader, value=LIQUIDITY // 10).value == wanted


def test_remove_liquidity__all__empties_the_pool(pw: PoolWorld) -> None:
    provider = pw.world.deployer
    before = pw.token.balanceOf(provider)
    shares = pw.pool.shares_of(provider)
    result = pw.pool.remove_liquidity(shares, sender=provider)
    assert result.value == (LIQUIDITY, TOKENS)
    assert pw.token.balanceOf(provider) == before + TOKENS
    assert pw.world.chain.balance(pw.pool.address) == 0
    assert (pw.pool.total_shares(), pw.pool.shares_of(provider)) == (0, 0)
    assert vars(result.event("LiquidityRemoved")) == {
        "provider": provider, "shares": shares, "ether_amount": LIQUIDITY, "token_amount": TOKENS,
    }  # fmt: skip


def test_remove_liquidity__more_than_one_has__reverts(pw: PoolWorld) -> None:
    pw.pool.add_liquidity(TOKENS // 10, 0, sender=pw.trader, value=LIQUIDITY // 10)
    with reverts("pool: too many shares"):
        pw.pool.remove_liquidity(pw.pool.shares_of(pw.trader) + 1, sender=pw.trader)


def test_remove_liquidity__nothing__reverts(pw: PoolWorld) -> None:
    with reverts("pool: no liquidity"):
        pw.pool.remove_liquidity(0, sender=pw.trader)


# Tokens that return false instead of reverting, in bytes of code.
ALWAYS_FALSE = "60206000f3"
TRUE_FOR_TRANSFER_FROM = "366064145f5260205ff3"  # true when the calldata are those of three arguments


def pool_with_token(pw: PoolWorld, code: str) -> Contract:
    token = pw.world.chain.account(f"token {code}")
    pw.world.chain.place(token, bytes.fromhex(code))
    arguments = (pw.world.settlement.address, pw.model_id, pw.feed.address, token)
    return pw.world.deploy("examples/DynamicFeePool.vy", *arguments)


def test_add_liquidity__token_says_false__reverts(pw: PoolWorld) -> None:
    pool = pool_with_token(pw, ALWAYS_FALSE)
    with reverts("pool: token transfer failed"):
        pool.add_liquidity(TOKENS, 0, sender=pw.trader, value=LIQUIDITY)


def test_buy__token_says_false__reverts(pw: PoolWorld) -> None:
    pool = pool_with_token(pw, TRUE_FOR_TRANSFER_FROM)
    pool.add_liquidity(TOKENS, 0, sender=pw.trader, value=LIQUIDITY)
    pw.script(pw.right, PROVEN)
    with reverts("pool: token transfer failed"):
        pool.buy(0, PROVEN, sender=pw.trader, value=ETHER)
