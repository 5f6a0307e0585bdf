import pytest

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.tensor import dequantise
from tests.kit.chain import Contract, reverts
from tests.kit.manifest import CHALLENGE_WINDOW, PROOF_WINDOW, SCALE
from tests.kit.solidity import compiled_solidity
from tests.kit.world import (
    ATTESTED,
    CANCEL_DELAY,
    DELIVERED,
    DISPUTE_BOND,
    FEE,
    FINAL,
    INPUTS,
    PROVEN,
    SIGNED,
    VALUE_AT_RISK,
    World,
)

NOTHING, WAITING, PROVISIONAL, ANSWERED, REVERSED = range(5)


def ask_in(world: World, language: str, settlement: str) -> Contract:
    """The example in one of its languages."""
    if language == "vyper":
        return world.deploy("examples/Ask.vy", settlement)
    artifact = compiled_solidity("contracts/solidity/examples/Ask.sol", "Ask")
    return world.chain.deploy(artifact, settlement, sender=world.deployer)


@pytest.fixture(params=["vyper", "solidity"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(world: World, language: str) -> Contract:
    return ask_in(world, language, world.settlement.address)


def wad(outputs: tuple[int, ...]) -> list[int]:
    return list(dequantise(outputs, SCALE))


def test_constructor__deployer__is_the_owner(world: World, ask: Contract) -> None:
    assert ask.owner() == world.deployer


def test_constructor__zero_settlement__reverts(world: World, language: str) -> None:
    with reverts("consumer: settlement is zero"):
        ask_in(world, language, ZERO_ADDRESS)


@pytest.mark.parametrize(("assurance", "state"), [(SIGNED, PROVISIONAL), (PROVEN, ANSWERED)])
def test_ask__answered__stores_the_outputs(world: World, ask: Contract, assurance: int, state: int) -> None:
    world.script(world.right, assurance=assurance)
    result = ask.ask(world.model_id, INPUTS, assurance)
    assert result.value == wad(world.right)
    answer = ask.answer_of(ask.last_id())
    assert (answer.state, answer.assurance, answer.outputs, answer.compensation) == (
        state, assurance, wad(world.right), 0,
    )  # fmt: skip
    assert vars(result.event("Answered")) == {
        "id": ask.last_id(), "state": state, "assurance": assurance, "outputs": wad(world.right),
    }  # fmt: skip


def test_ask_open__answered__stays_provisional(world: World, ask: Contract) -> None:
    world.script(world.right, assurance=SIGNED)
    assert ask.ask_open(world.model_id, INPUTS, SIGNED).value == wad(world.right)
    answer = ask.answer_of(ask.last_id())
    assert (answer.state, answer.assurance, answer.outputs) == (PROVISIONAL, SIGNED, wad(world.right))


def test_ask_open__less_assurance_than_asked__reverts(world: World, ask: Contract) -> None:
    world.script(world.right, assurance=SIGNED)
    with reverts("assured: assurance too low"):
        ask.ask_open(world.model_id, INPUTS, ATTESTED)


def test_ask__less_assurance_than_asked__reverts(world: World, ask: Contract) -> None:
    world.script(world.right, assurance=SIGNED)
    with reverts("assured: assurance too low"):
        ask.ask(world.model_id, INPUTS, PROVEN)


def test_peek__answered__stores_nothing(world: World, ask: Contract) -> None:
    """The stand-in writes, as a precompile would not in a static call: so the call is refused here."""
    world.script(world.right)
    with reverts(""):
        ask.peek(world.model_id, INPUTS, SIGNED)
    world.chain.place("0x" + "00" * 16 + "f07e7e11", bytes.fromhex(
        "6040600052" + "60ff602052" + "6001604052" + "6007606052" + "60806000f3"
    ))  # fmt: skip
    assert ask.peek(world.model_id, INPUTS, SIGNED) == [7]


def test_ask_insured__signed__is_provisional_and_insured(world: World, ask: Contract) -> None:
    world.script(world.right)
    request_id = ask.ask_insured(world.model_id, INPUTS, SIGNED, VALUE_AT_RISK, value=FEE).value
    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.fee, stored.requester) == (DELIVERED, FEE, ask.address)
    assert ask.total_exposure() == VALUE_AT_RISK
    assert ask.answer_of(request_id).state == PROVISIONAL
    world.chain.mine(CHALLENGE_WINDOW)
    world.settlement.finalise(request_id, world.right)
    assert ask.answer_of(request_id).state == ANSWERED
    assert ask.total_exposure() == 0


def test_ask_insured__proven__is_final_with_nothing_at_risk(world: World, ask: Contract) -> None:
    world.script(world.right, assurance=PROVEN)
    request_id = ask.ask_insured(world.model_id, INPUTS, PROVEN, 1000 * VALUE_AT_RISK).value
    assert world.status(request_id) == FINAL
    assert ask.total_exposure() == 0
    assert ask.answer_of(request_id).state == ANSWERED


def test_ask_insured__bond_does_not_cover__reverts(world: World, ask: Contract) -> None:
    world.script(world.right)
    with reverts("assured: bond does not cover the value at risk"):
        ask.ask_insured(world.model_id, INPUTS, SIGNED, 1000 * VALUE_AT_RISK)


def test_ask_insured__nothing_at_risk__reverts(world: World, ask: Contract) -> None:
    world.script(world.right)
    with reverts("assured: nothing at risk"):
        ask.ask_insured(world.model_id, INPUTS, SIGNED, 0)


def test_ask_insured__lie__is_replaced_and_compensated(world: World, ask: Contract) -> None:
    world.script(world.wrong)
    request_id = ask.ask_insured(world.model_id, INPUTS, SIGNED, VALUE_AT_RISK).value
    world.challenge(request_id)
    world.prove(request_id)
    answer = ask.answer_of(request_id)
    assert (answer.state, answer.assurance, answer.outputs) == (REVERSED, PROVEN, wad(world.right))
    assert answer.compensation == VALUE_AT_RISK
    assert ask.total_exposure() == 0


def test_ask_later__delivered_and_proven__follows_each_step(world: World, ask: Contract) -> None:
    policy = world.policy(provisional=True, callback_gas=500_000)
    request_id = ask.ask_later(world.model_id, INPUTS, policy, value=FEE).value
    assert ask.answer_of(request_id).state == WAITING
    world.deliver(request_id)
    answer = ask.answer_of(request_id)
    assert (answer.state, answer.assurance, answer.outputs) == (PROVISIONAL, SIGNED, wad(world.right))
    world.prove(request_id)
    answer = ask.answer_of(request_id)
    assert (answer.state, answer.assurance, answer.outputs) == (ANSWERED, PROVEN, wad(world.right))


def test_ask_later__undetermined__forgets_the_outputs(world: World, ask: Contract) -> None:
    policy = world.policy(provisional=True, callback_gas=500_000)
    request_id = ask.ask_later(world.model_id, INPUTS, policy, value=FEE).value
    world.deliver(request_id)
    world.challenge(request_id, world.wrong)
    world.chain.mine(PROOF_WINDOW + 1)
    world.settlement.expire(request_id)
    answer = ask.answer_of(request_id)
    assert (answer.state, answer.assurance, answer.outputs) == (REVERSED, 0, [])
    assert answer.compensation == VALUE_AT_RISK


def test_collect__by_the_owner__fetches_refund_and_compensation(world: World, ask: Contract) -> None:
    request_id = ask.ask_later(world.model_id, INPUTS, world.policy(min_assurance=PROVEN), value=FEE).value
    world.deliver(request_id)
    world.chain.mine(PROOF_WINDOW + 1)
    world.settlement.expire(request_id)
    before = world.chain.balance(world.deployer)
    result = ask.collect(sender=world.deployer)
    assert result.value == FEE + VALUE_AT_RISK + DISPUTE_BOND
    assert world.chain.balance(world.deployer) == before + result.value
    assert world.chain.balance(ask.address) == 0


def test_collect__by_another__reverts(world: World, ask: Contract) -> None:
    with reverts("ask: only the owner"):
        ask.collect(sender=world.stranger)


def test_default__ether_from_anyone__reverts(world: World, ask: Contract) -> None:
    with reverts("consumer: only settlement pays"):
        world.chain.send(ask.address, value=1)


@pytest.mark.parametrize("name", ["on_inference", "on_inference_final", "on_inference_reversed"])
def test_callbacks__from_anyone_but_settlement__revert(world: World, ask: Contract, name: str) -> None:
    with reverts("consumer: only settlement"):
        getattr(ask, name)(b"\1" * 32, [1], 1)


def test_ask_later__expired__can_be_cancelled_by_nobody_else(world: World, ask: Contract) -> None:
    request_id = ask.ask_later(world.model_id, INPUTS, world.policy(), value=FEE).value
    world.chain.mine(CANCEL_DELAY)
    with reverts("settlement: only the requester"):
        world.settlement.cancel(request_id, sender=world.deployer)
