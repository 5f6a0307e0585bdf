"""A small sample of the differential fuzz, and that it would notice; `make conformance` runs the whole."""

from dataclasses import replace
from typing import Any

import pytest
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.computation import PragueComputation

from tests.conformance import compare
from tests.conformance.cases import Account, Case, Environment
from tests.conformance.compare import smallest, with_revm, with_stock
from tests.conformance.engines import STOCK, PyEvm
from tests.conformance.generate import CONTRACTS, SENDERS, address_of, generate
from tests.conformance.mended import MENDED
from tests.conformance.wire import DYNAMIC_FEE, LEGACY, Wire

FIRST = 20_000


@pytest.mark.parametrize("seed", range(FIRST, FIRST + 40))
def test_random_case__on_the_fork__ends_as_on_stock_py_evm(seed: int) -> None:
    assert with_stock(generate(seed, ours=seed % 4 == 0)).disagreement is None


@pytest.mark.parametrize("seed", range(FIRST, FIRST + 40))
def test_simple_case__on_the_fork__ends_as_on_revm(seed: int) -> None:
    assert with_revm(generate(seed, simple=True)).disagreement is None


def test_case__as_json_and_back__is_the_same() -> None:
    case = generate(FIRST)
    assert Case.from_json(case.to_json()) == case


def cheap_multiplication() -> type[PragueVM]:
    opcodes = dict(PragueComputation.opcodes)
    opcodes[2] = opcodes[1]  # MUL adds, for less gas
    computation = type("Wrong", (PragueComputation,), {"opcodes": opcodes})
    state = type("WrongState", (PragueVM.get_state_class(),), {"computation_class": computation})
    return type("WrongVM", (PragueVM,), {"_state_class": state})


@pytest.fixture
def wrong_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "FORK_ON", PyEvm("wrong", cheap_multiplication()))


def multiplying_case() -> Case:
    sender, noise = SENDERS[0], Account(code="60016001015f55")
    transaction = Wire(DYNAMIC_FEE, 0, 100_000, CONTRACTS[0]).signed(sender)
    accounts = {
        address_of(sender).hex(): Account(balance=10**20),
        CONTRACTS[0].hex(): Account(code="6003600202" + "5f55" + "5b" * 40),
        CONTRACTS[1].hex(): noise,
    }
    return Case(0, Environment(), accounts, (transaction.hex(),))


def test_fork_that_is_wrong__is_found_and_made_small(wrong_fork: None) -> None:
    case = multiplying_case()
    assert with_stock(case).disagreement is not None
    small = smallest(case, lambda each: with_stock(each).disagreement is not None)
    assert CONTRACTS[1].hex() not in small.accounts
    assert len(small.accounts[CONTRACTS[0].hex()].code) < len(case.accounts[CONTRACTS[0].hex()].code)


@pytest.mark.parametrize(
    "change",
    [
        {"tip": 30},
        {"kind": LEGACY, "chain_id": 2},
        {"data": b"\1" * 100, "gas": 22_700},
    ],
)
def test_known_divergence__in_stock_py_evm__is_still_there(change: dict[str, Any]) -> None:
    wire = replace(Wire(DYNAMIC_FEE, 0, 21_000, CONTRACTS[0], max_fee=20), **change)
    accounts = {address_of(SENDERS[0]).hex(): Account(balance=10**20)}
    case = Case(0, Environment(), accounts, (wire.signed(SENDERS[0]).hex(),))
    assert [each.valid for each in STOCK.run(case).executions] == [True]
    assert [each.valid for each in MENDED.run(case).executions] == [False]


def test_creation_code_over_the_limit_without_money__in_stock_py_evm__still_goes_on() -> None:
    creates = "61c0015f6001f0"  # 49,153 bytes with an endowment of 1 wei
    accounts = {
        address_of(SENDERS[0]).hex(): Account(balance=10**20),
        CONTRACTS[0].hex(): Account(nonce=1, code=creates),
    }
    case = Case(
        0, Environment(), accounts, (Wire(DYNAMIC_FEE, 0, 200_000, CONTRACTS[0]).signed(SENDERS[0]).hex(),)
    )
    assert [each.success for each in STOCK.run(case).executions] == [True]
    assert [each.success for each in MENDED.run(case).executions] == [False]
