"""Requests that somebody else sends for a requester who signed."""

from dataclasses import replace
from typing import Any

import pytest
from eth_keys.datatypes import PrivateKey

from foretell_spec.bundle import sign_digest
from foretell_spec.settlement import Policy, ask_digest
from foretell_spec.tensor import WAD, quantise, tensor_hash
from tests.kit.chain import CHAIN_ID, Contract, Result, RevertedError, reverts
from tests.kit.manifest import SCALE
from tests.kit.world import CANCEL_DELAY, DEADLINE_IN, FEE, INPUTS, OPEN, World, key_of

REFUSED = "settlement: not the requester's signature"
KEY = key_of("signing requester")
SIGNER = KEY.public_key.to_checksum_address()


def digest(world: World, requester: str = SIGNER, **overrides: Any) -> bytes:
    """What a requester signs; overrides replace one field."""
    fields: dict[str, Any] = {
        "chain_id": CHAIN_ID,
        "settlement": world.settlement.address,
        "requester": requester,
        "nonce": world.settlement.nonce_of(requester),
        "model_id": world.model_id,
        "input_hash": tensor_hash(quantise(INPUTS, SCALE)),
        "policy": Policy(**world.policy()),
        "fee": FEE,
        **overrides,
    }
    return ask_digest(**fields)


def ask(world: World, signature: bytes, requester: str = SIGNER, **overrides: Any) -> Result:
    values = {
        "requester": requester, "model_id": world.model_id, "inputs": INPUTS, "policy": world.policy(),
        "fee": FEE, "signature": signature, **overrides,
    }  # fmt: skip
    result: Result = world.settlement.request_for(*values.values(), sender=world.stranger, value=FEE)
    return result


def test_request_for__signed__is_of_the_requester(world: World) -> None:
    result = ask(world, sign_digest(KEY, digest(world)))
    stored = world.settlement.request_of(result.value)
    assert (stored.requester, stored.nonce, stored.fee, stored.status) == (SIGNER, 0, FEE, OPEN)
    assert (world.settlement.nonce_of(SIGNER), world.settlement.nonce_of(world.stranger)) == (1, 0)
    assert result.event("Requested").requester == SIGNER


def test_request_for__fee__comes_out_of_the_requesters_credit(world: World) -> None:
    world.settlement.deposit(SIGNER, value=2 * FEE)
    world.settlement.deposit(world.stranger, value=2 * FEE)
    ask(world, sign_digest(KEY, digest(world)))
    assert (world.credit(SIGNER), world.credit(world.stranger)) == (2 * FEE, 2 * FEE)


def test_request_for__refund__goes_to_the_requester(world: World) -> None:
    request_id = ask(world, sign_digest(KEY, digest(world))).value
    world.chain.mine(DEADLINE_IN + 1)
    world.settlement.expire(request_id)
    assert (world.credit(SIGNER), world.credit(world.stranger)) == (FEE, 0)


def test_request_for__sender_cannot_cancel(world: World) -> None:
    request_id = ask(world, sign_digest(KEY, digest(world))).value
    world.chain.mine(CANCEL_DELAY)
    with reverts("settlement: only the requester"):
        world.settlement.cancel(request_id, sender=world.stranger)


def test_request_for__replayed__reverts(world: World) -> None:
    signature = sign_digest(KEY, digest(world))
    ask(world, signature)
    with reverts(REFUSED):
        ask(world, signature)


def test_request_for__after_the_deadline__reverts(world: World) -> None:
    signature, policy = sign_digest(KEY, digest(world)), world.policy()
    world.chain.mine(DEADLINE_IN)
    with reverts("settlement: deadline has passed"):
        ask(world, signature, policy=policy)


# One field of what is signed differs: each must be bound.
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain_id", 1),
        ("settlement", "0x" + "11" * 20),
        ("requester", "0x" + "11" * 20),
        ("nonce", 1),
        ("model_id", b"\1" * 32),
        ("input_hash", b"\1" * 32),
        ("fee", FEE - 1),
    ],
)
def test_request_for__signature_over_another_field__reverts(world: World, field: str, value: Any) -> None:
    signature = sign_digest(KEY, digest(world, **{"requester": SIGNER, field: value}))
    with reverts(REFUSED):
        ask(world, signature)


@pytest.mark.parametrize(
    "change",
    [
        {"min_assurance": 4},
        {"provisional": True},
        {"callback_gas": 1},
        {"deadline": 2**63},
        {"value_at_risk": 0},
    ],
)
def test_request_for__another_policy__reverts(world: World, change: dict[str, Any]) -> None:
    signature = sign_digest(KEY, digest(world, policy=replace(Policy(**world.policy()), **change)))
    with reverts(REFUSED):
        ask(world, signature)


def test_request_for__other_inputs__reverts(world: World) -> None:
    with reverts(REFUSED):
        ask(world, sign_digest(KEY, digest(world)), inputs=(INPUTS[0] + WAD, INPUTS[1]))


def test_request_for__signed_by_another_key__reverts(world: World) -> None:
    with reverts(REFUSED):
        ask(world, sign_digest(PrivateKey(b"\1" * 32), digest(world)))


@pytest.mark.parametrize("change", [b"", b"\0" * 64, b"\0" * 66])
def test_request_for__signature_of_another_length__reverts(world: World, change: bytes) -> None:
    with reverts(REFUSED):
        ask(world, change)


def test_request_for__signature_with_a_tail__reverts(world: World) -> None:
    with reverts(REFUSED):
        ask(world, sign_digest(KEY, digest(world)) + b"\0")


def test_request_for__zero_requester__reverts(world: World) -> None:
    """No signature recovers the zero address."""
    with reverts("bundle: bad signature"):
        ask(world, b"\0" * 64 + bytes([27]), requester="0x" + "00" * 20)


def test_request_for__bad_policy__reverts(world: World) -> None:
    with reverts("settlement: assurance out of range"):
        ask(world, b"", policy=world.policy(min_assurance=0))


# ---------------------------------------------------------------------- accounts with code


@pytest.fixture
def wallet(world: World) -> Contract:
    return world.deploy("mocks/MockWallet.vy")


def test_request_for__wallet_that_agrees__is_its_request(world: World, wallet: Contract) -> None:
    wallet.sign(digest(world, wallet.address), b"any form")
    result = ask(world, b"any form", requester=wallet.address)
    assert world.settlement.request_of(result.value).requester == wallet.address


def test_request_for__wallet_asked_about_another_signature__reverts(world: World, wallet: Contract) -> None:
    wallet.sign(digest(world, wallet.address), b"any form")
    with reverts(REFUSED):
        ask(world, b"another", requester=wallet.address)


@pytest.mark.parametrize("mode", [1, 2], ids=["wrong answer", "revert"])
def test_request_for__wallet_that_disagrees__reverts(world: World, wallet: Contract, mode: int) -> None:
    wallet.sign(digest(world, wallet.address), b"any form")
    wallet.set_mode(mode)
    with reverts(REFUSED):
        ask(world, b"any form", requester=wallet.address)


def test_request_for__wallet_that_burns_all_gas__reverts(world: World, wallet: Contract) -> None:
    wallet.set_mode(3)
    with pytest.raises(RevertedError):
        ask(world, b"any form", requester=wallet.address)


def test_request_for__contract_without_an_answer__reverts(world: World) -> None:
    """Its fallback succeeds and returns nothing."""
    consumer = world.deploy("mocks/MockConsumer.vy")
    with reverts(REFUSED):
        ask(world, b"any form", requester=consumer.address)


def test_request_for__answer_of_one_byte__reverts(world: World) -> None:
    short = world.chain.account("short answer")
    world.chain.place(short, bytes.fromhex("6016" + "5f" + "53" + "6001" + "5f" + "f3"))
    with reverts(REFUSED):
        ask(world, b"any form", requester=short)
