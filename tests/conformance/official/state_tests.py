"""State tests: one transaction on a state, and the root of what it leaves (ethereum/tests, EEST)."""

from collections.abc import Iterator
from typing import Any, Final

import rlp
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak

from tests.conformance.cases import Case, Environment, Outcome
from tests.conformance.engines import FORK_OFF, FORK_ON
from tests.conformance.mended import MENDED
from tests.conformance.official.findings import Finding, Json, Result, expect, skip
from tests.conformance.official.values import accounts, number, octets
from tests.conformance.wire import ACCESS_LIST, DYNAMIC_FEE, LEGACY, Wire

KIND: Final = "state tests"
FORK: Final = "Prague"


def check(name: str, test: Json) -> Iterator[Finding]:
    """Each transaction of a test that has results for Prague."""
    if FORK not in test["post"]:
        yield skip(KIND, name, f"no results for {FORK}")
        return
    for index, post in enumerate(test["post"][FORK]):
        yield _check_one(f"{name}[{index}]", test, post)


def _check_one(name: str, test: Json, post: Json) -> Finding:
    raw = octets(post["txbytes"]) if post.get("txbytes") else signed(test["transaction"], post["indexes"])
    if raw is None:
        return skip(KIND, name, "a transaction of a type that only comes signed")
    case = Case(0, environment(test), accounts(test["pre"]), (raw.hex(),))
    expected = (octets(post["hash"]).hex(), octets(post["logs"]).hex(), not post.get("expectException"))
    found = [expect(KIND, name, expected, _seen(engine.run(case))) for engine in (FORK_ON, FORK_OFF)]
    wrong = next((each for each in found if each.result is Result.FAILED), None)
    if wrong is not None and _seen(MENDED.run(case)) == expected:
        return Finding(KIND, name, Result.KNOWN)
    return wrong or found[0]


def _seen(outcome: Outcome) -> tuple[str, str, bool]:
    (execution,) = outcome.executions
    logs = [
        [bytes.fromhex(address), [bytes.fromhex(topic) for topic in topics], bytes.fromhex(data)]
        for address, topics, data in execution.logs
    ]
    return outcome.state_root, keccak(rlp.encode(logs)).hex(), execution.valid


def environment(test: Json) -> Environment:
    """The block of a test."""
    env = test["env"]
    return Environment(
        number=number(env["currentNumber"]),
        timestamp=number(env["currentTimestamp"]),
        coinbase=octets(env["currentCoinbase"]).hex(),
        gas_limit=number(env["currentGasLimit"]),
        base_fee=number(env.get("currentBaseFee"), 10),
        prev_randao=f"{number(env.get('currentRandom')):064x}",
        excess_blob_gas=number(env.get("currentExcessBlobGas")),
        chain_id=number(test.get("config", {}).get("chainid"), 1),
    )


def signed(transaction: Json, indexes: Json) -> bytes | None:
    """The transaction that the indexes choose, where it is of a type without blobs and authorizations."""
    if "maxFeePerBlobGas" in transaction or "authorizationList" in transaction:
        return None
    lists: Any = transaction.get("accessLists")
    listed = None if lists is None else lists[indexes["data"]]
    plain = LEGACY if listed is None else ACCESS_LIST
    wire = Wire(
        DYNAMIC_FEE if "maxFeePerGas" in transaction else plain,
        number(transaction["nonce"]),
        number(transaction["gasLimit"][indexes["gas"]]),
        octets(transaction["to"]),
        number(transaction["value"][indexes["value"]]),
        octets(transaction["data"][indexes["data"]]),
        number(transaction.get("maxFeePerGas", transaction.get("gasPrice"))),
        number(transaction.get("maxPriorityFeePerGas")),
        access_list=tuple(
            (octets(each["address"]), tuple(octets(key) for key in each["storageKeys"]))
            for each in listed or ()
        ),
    )
    return wire.signed(PrivateKey(octets(transaction["secretKey"])), protected=False)
