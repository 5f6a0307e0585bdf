"""State and VM tests of 2015, as npm's ``ethereum-tests`` ships them: what they expect is Frontier's.

Two things can be learnt from them. With py-evm's Frontier on the fork's accounts and tries, the roots have to
be the official ones. And their programs, run by Prague's rules, have to end alike on every engine.
"""

from collections.abc import Iterator
from typing import Any, Final

from eth.abc import StateAPI
from eth.consensus import ConsensusContext
from eth.db.account import AccountDB
from eth.db.atomic import AtomicDB
from eth.db.chain import ChainDB
from eth.exceptions import VMError
from eth.rlp.headers import BlockHeader
from eth.vm.chain_context import ChainContext
from eth.vm.forks.frontier import FrontierVM
from eth.vm.forks.frontier.state import FrontierState
from eth_keys.datatypes import PrivateKey
from eth_typing import Address
from eth_utils import ValidationError

from foretell_evm.account_db import SharedAccountDB
from tests.conformance.cases import Account, Case, Environment
from tests.conformance.compare import with_stock
from tests.conformance.engines import block_hash, fill
from tests.conformance.generate import SENDERS, address_of
from tests.conformance.official.findings import Finding, Json, expect, skip
from tests.conformance.official.values import accounts, number, octets
from tests.conformance.wire import LEGACY, Wire

ROOTS: Final = "state tests, Frontier's roots"
PROGRAMS: Final = "their programs by Prague's rules"
_GAS: Final = 1_000_000
"""Of a VM test's program as a transaction; some loop until there is none left."""


def check_state(name: str, test: Json) -> Iterator[Finding]:
    """Frontier's root of a state test, and the test by Prague's rules."""
    raw = _transaction(test["transaction"]).signed(_key(test), protected=False)
    case = Case(0, _environment(test["env"]), accounts(test["pre"]), (raw.hex(),))
    expected = octets(test["postStateRoot"])
    ours, stock = (_frontier_root(case, each) for each in (SharedAccountDB, AccountDB))
    if ours == stock != expected:
        yield skip(ROOTS, name, "older than Frontier: stock py-evm too comes to another root")
    else:
        yield expect(ROOTS, name, expected.hex(), ours.hex())
    yield _as_prague(name, case)


def check_vm(name: str, test: Json) -> Iterator[Finding]:
    """The program of a VM test, called by a transaction, by Prague's rules."""
    given, sender = test["exec"], SENDERS[0]
    target = octets(given["address"])
    before = accounts(test["pre"])
    program = Account(balance=10**18, code=octets(given["code"]).hex())
    storage = before[target.hex()].storage if target.hex() in before else {}
    before[target.hex()] = Account(program.balance, 0, program.code, storage)
    before[address_of(sender).hex()] = Account(balance=10**24)
    wire = Wire(LEGACY, 0, _GAS, target, 0, octets(given["data"]), max_fee=20)
    yield _as_prague(name, Case(0, _environment(test["env"]), before, (wire.signed(sender).hex(),)))


def _as_prague(name: str, case: Case) -> Finding:
    return expect(PROGRAMS, name, None, with_stock(case).disagreement)


def _key(test: Json) -> PrivateKey:
    return PrivateKey(octets(test["transaction"]["secretKey"]).rjust(32, b"\0"))


def _transaction(given: Json) -> Wire:
    return Wire(
        LEGACY,
        number(given["nonce"]),
        number(given["gasLimit"]),
        octets(given["to"]),
        number(given["value"]),
        octets(given["data"]),
        max_fee=number(given["gasPrice"]),
    )


def _environment(env: Json) -> Environment:
    return Environment(
        number=number(env["currentNumber"]),
        timestamp=number(env["currentTimestamp"]),
        coinbase=octets(env["currentCoinbase"]).hex(),
        gas_limit=min(number(env["currentGasLimit"]), 2**63 - 1),
        base_fee=0,
        prev_randao=f"{number(env['currentDifficulty']):064x}",
    )


def _frontier_root(case: Case, account_db: type[Any]) -> bytes:
    """What the case leaves by Frontier's rules on accounts kept by ``account_db``."""
    state_class = type("State", (FrontierState,), {"account_db_class": account_db})
    vm_class = type("VM", (FrontierVM,), {"_state_class": state_class})
    given, db = case.environment, AtomicDB()
    header = BlockHeader(
        difficulty=int(given.prev_randao, 16),
        block_number=given.number,
        gas_limit=given.gas_limit,
        timestamp=given.timestamp,
        coinbase=Address(bytes.fromhex(given.coinbase)),
    )
    hashes = [block_hash(each) for each in range(given.number - 1, max(0, given.number - 256) - 1, -1)]
    vm: Any = vm_class(header, ChainDB(db), ChainContext(given.chain_id), ConsensusContext(db))
    context = vm_class.create_execution_context(header, hashes, ChainContext(given.chain_id))
    state: StateAPI = state_class(db, context, header.state_root)
    vm._state = state
    fill(state, case)
    _apply(vm, header, bytes.fromhex(case.transactions[0]))
    state.persist()
    return state.state_root


def _apply(vm: Any, header: BlockHeader, raw: bytes) -> None:
    snapshot = vm.state.snapshot()
    try:
        transaction = vm.get_transaction_builder().decode(raw)
        vm.validate_transaction_against_header(header, transaction)
        vm.state.apply_transaction(transaction)
    except (ValidationError, VMError):
        vm.state.revert(snapshot)
