"""The runner of official tests on tests made here in their forms; `make official` runs the official ones.

Above all that it would notice: each form has a test that is right and one that is wrong.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth.constants import BLANK_ROOT_HASH
from eth_utils import keccak

from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig
from foretell_spec.addresses import PRECOMPILE
from tests.conformance.cases import Case
from tests.conformance.engines import FORK_OFF, STOCK
from tests.conformance.generate import CONTRACTS, SENDERS, address_of
from tests.conformance.official.__main__ import check_folders, main
from tests.conformance.official.findings import Json, Result
from tests.conformance.official.state_tests import environment
from tests.conformance.official.values import accounts
from tests.conformance.wire import DYNAMIC_FEE, Wire

CODE = "0x60036002025f5500"  # slot 0 = 3 * 2
NO_LOGS = "0x" + keccak(rlp.encode([])).hex()
ABSENT = [*range(0x12, 0x20), 0xFF, 0x101, int(PRECOMPILE, 16)]
"""Addresses that an account without code calls as it calls anybody's: no precompiles of Prague."""


def state_test(code: str = CODE) -> Json:
    """A state test whose expected root is stock py-evm's: what the fork is held to."""
    raw = Wire(DYNAMIC_FEE, 0, 2_000_000, CONTRACTS[0]).signed(SENDERS[0])
    test = {
        "env": {
            "currentNumber": "0x01",
            "currentTimestamp": "0x03e8",
            "currentCoinbase": "0x" + "c0" * 20,
            "currentGasLimit": "0x1c9c380",
            "currentBaseFee": "0x07",
            "currentRandom": "0x" + "00" * 32,
        },
        "pre": {
            address_of(SENDERS[0]).hex(): {
                "balance": hex(10**20),
                "nonce": "0x0",
                "code": "0x",
                "storage": {},
            },
            "0x" + CONTRACTS[0].hex(): {"balance": "0x0", "nonce": "0x1", "code": code, "storage": {}},
        },
        "transaction": {},
    }
    case = Case(0, environment(test), accounts(test["pre"]), (raw.hex(),))
    root = "0x" + STOCK.run(case).state_root
    post = {"hash": root, "logs": NO_LOGS, "indexes": {}, "txbytes": "0x" + raw.hex()}
    return {**test, "post": {"Prague": [post], "Cancun": [{**post, "hash": "0x00"}]}}


def results(folder: Path, name: str, content: Any) -> list[Result]:
    (folder / name).write_text(json.dumps(content))
    return [each.result for each in check_folders([folder])]


def test_state_test__right_root__passes__and_a_wrong_one_fails(tmp_path: Path) -> None:
    test = state_test()
    assert results(tmp_path, "a.json", {"right": test}) == [Result.PASSED]
    for field, value in (("hash", "0x" + "11" * 32), ("logs", "0x" + "11" * 32), ("expectException", "any")):
        wrong = {**test, "post": {"Prague": [{**test["post"]["Prague"][0], field: value}]}}
        assert results(tmp_path, "a.json", {"wrong": wrong}) == [Result.FAILED]
    assert results(tmp_path, "a.json", {"other fork": {**test, "post": {"Osaka": []}}}) == [Result.SKIPPED]


def test_state_test__signed_by_its_key__is_the_one_of_its_bytes(tmp_path: Path) -> None:
    test = state_test()
    raw = rlp.decode(bytes.fromhex(test["post"]["Prague"][0].pop("txbytes")[4:]))
    test["post"]["Prague"][0]["indexes"] = {"data": 0, "gas": 1, "value": 0}
    test["transaction"] = {
        "nonce": "0x00", "gasLimit": ["0x5208", hex(2_000_000)], "to": "0x" + CONTRACTS[0].hex(),
        "value": ["0x00"], "data": ["0x"], "maxFeePerGas": "0x14", "maxPriorityFeePerGas": "0x02",
        "secretKey": SENDERS[0].to_hex(),
    }  # fmt: skip
    assert len(raw) == 12
    assert results(tmp_path, "a.json", {"signed here": test}) == [Result.PASSED]


def test_precompile_vector__output_gas_and_failure__are_compared(tmp_path: Path) -> None:
    right = {"Input": "00ff", "Expected": "00ff", "Gas": 18, "Name": "right"}
    wrong = [{**right, "Expected": "00fe"}, {**right, "Gas": 17}, {**right, "Gas": 19}]
    assert results(tmp_path, "identity.json", [right]) == [Result.PASSED]
    assert results(tmp_path, "identity.json", wrong) == [Result.FAILED] * 3
    fails = {"Input": "00", "ExpectedError": "invalid input length", "Name": "fails"}
    (tmp_path / "identity.json").unlink()
    assert results(tmp_path, "fail-blake2f.json", [fails]) == [Result.PASSED]
    (tmp_path / "fail-blake2f.json").unlink()
    assert results(tmp_path, "fail-identity.json", [fails]) == [Result.FAILED]
    (tmp_path / "fail-identity.json").unlink()
    assert results(tmp_path, "p256Verify.json", [right]) == [Result.SKIPPED]


def test_trie_and_rlp_tests__roots_and_bytes__are_compared(tmp_path: Path) -> None:
    changes = [["a", "b"], ["a", None]]
    trie = {"right": {"in": changes, "root": "0x" + BLANK_ROOT_HASH.hex()}}
    assert results(tmp_path, "trie.json", trie) == [Result.PASSED] * 2
    trie["right"]["in"] = changes[:1]
    assert results(tmp_path, "trie.json", trie) == [Result.FAILED] * 2
    assert (
        results(tmp_path, "trie.json", {"list": {"in": ["dog", 15], "out": "0xc583646f670f"}})
        == [Result.PASSED] * 2
    )
    assert Result.FAILED in results(tmp_path, "trie.json", {"list": {"in": ["dog", 15], "out": "0xc0"}})


def test_transaction__compressed_file__is_read(tmp_path: Path) -> None:
    raw = "0x" + Wire(DYNAMIC_FEE, 0, 21_000, CONTRACTS[0]).signed(SENDERS[0]).hex()
    cases = [
        {"name": name, "signed": raw, "address": "0x" + address_of(key).hex()}
        for name, key in (("right", SENDERS[0]), ("wrong", SENDERS[1]))
    ]
    (tmp_path / "typed.json.gz").write_bytes(gzip.compress(json.dumps(cases).encode()))
    assert [each.result for each in check_folders([tmp_path])] == [Result.PASSED, Result.FAILED]


def test_blockchain_test__a_block_of_a_fork_s_chain__is_made_anew(tmp_path: Path) -> None:
    """A chain of this project as a blockchain test: its blocks are blocks of Prague."""
    from foretell_evm.genesis import allocation

    config = ChainConfig(genesis_time=1_700_000_000)
    with ForetellChain.create(config) as chain:
        message = {"from": chain.accounts[0].address, "to": chain.accounts[1].address, "value": "0x1"}
        chain.rpc("eth_sendTransaction", [message])
        genesis, block = (chain.history.block(number).block for number in (0, 1))
    pre = {
        address: {
            "balance": hex(each.balance), "nonce": hex(each.nonce), "code": "0x" + each.code.hex(),
            "storage": {hex(slot): hex(value) for slot, value in each.storage.items()},
        }
        for address, each in allocation(config).items()
    }  # fmt: skip
    test = {
        "network": "Prague",
        "config": {"chainid": hex(config.chain_id)},
        "pre": pre,
        "genesisRLP": "0x" + rlp.encode(genesis).hex(),
        "genesisBlockHeader": {"stateRoot": "0x" + genesis.header.state_root.hex()},
        "blocks": [{"rlp": "0x" + rlp.encode(block).hex()}],
    }
    assert results(tmp_path, "chain.json", {"right": test}) == [Result.PASSED] * 2
    lie = block.copy(header=block.header.copy(gas_used=21_001))
    wrong = {**test, "blocks": [{"rlp": "0x" + rlp.encode(lie).hex()}]}
    assert results(tmp_path, "chain.json", {"wrong": wrong}) == [Result.PASSED, Result.FAILED]
    refused = {**test, "blocks": [{**test["blocks"][0], "expectException": "TransactionException.ANY"}]}
    assert results(tmp_path, "chain.json", {"refused": refused}) == [Result.PASSED, Result.FAILED]
    assert results(tmp_path, "chain.json", {"old": {**test, "network": "London"}}) == [Result.SKIPPED]


@pytest.mark.parametrize("address", ABSENT)
def test_address_that_is_no_precompile__called__is_an_empty_account(tmp_path: Path, address: int) -> None:
    """Made like the official tests of absent precompiles; ours is absent where it is switched off."""
    call = f"6020602060206020600073{address:040x}5af15f553d60015560205160025500"
    (finding,) = check_folders_of(tmp_path, state_test("0x" + call), off=address == int(PRECOMPILE, 16))
    assert finding is Result.PASSED


def check_folders_of(folder: Path, test: Json, *, off: bool) -> list[Result]:
    if not off:
        return results(folder, "absent.json", {"absent": test})
    post = test["post"]["Prague"][0]
    case = Case(0, environment(test), accounts(test["pre"]), (post["txbytes"][2:],))
    return [Result.PASSED if "0x" + FORK_OFF.run(case).state_root == post["hash"] else Result.FAILED]


def test_folder_without_tests__is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text("no JSON")
    monkeypatch.setattr("sys.argv", ["official", str(tmp_path)])
    assert main() == 2
    assert "no test was found" in capsys.readouterr().out
