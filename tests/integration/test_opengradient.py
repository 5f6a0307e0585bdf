"""A chain that serves OpenGradient's interface, as other nodes and other people's contracts meet it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from eth_abi import decode, encode
from eth_utils import keccak
from web3.exceptions import ContractLogicError

from foretell_cli.app import main
from foretell_contracts import load
from foretell_evm import cli
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig
from foretell_evm.errors import ConfigError
from foretell_evm.opengradient import abi
from foretell_evm.opengradient.addresses import HUB, SCHEDULER
from foretell_evm.opengradient.config import Layout, OpenGradientConfig
from foretell_evm.rpc.http import bind, serve
from foretell_spec.reasons import Reason, reason_of
from tests.kit.compiled import compiled
from tests.kit.fork import Fork
from tests.kit.opengradient import (
    HISTORICAL,
    INFERENCE,
    NEWEST_FIRST,
    cid_of,
    feed_data,
    hourly_feed,
    opengradient_fork,
    query,
    query_data,
    refusal,
)
from tests.kit.solidity import compiled_solidity

RUN = bytes.fromhex("cbf09d80")
MODEL_INPUT = abi.MODEL_REQUEST[len("(uint8,string,") : -1]


@pytest.fixture(scope="module")
def og() -> Iterator[Fork]:
    made = opengradient_fork()
    yield made
    made.close()


def send(fork: Fork, to: str, data: bytes) -> Any:
    sent = fork.w3.eth.send_transaction({"from": fork.user, "to": to, "data": data, "gas": 3_000_000})
    return fork.settle("0x" + bytes(sent).hex())


CALLERS = {
    "vyper": lambda: compiled("mocks/OpenGradientCaller.vy"),
    "solidity": lambda: compiled_solidity(
        "tests/integration/solidity/OpenGradientCaller.sol", "OpenGradientCaller"
    ),
}
NUMBERS = ((3, 0), (-5, 1))


@pytest.fixture(scope="module", params=sorted(CALLERS))
def caller(og: Fork, request: pytest.FixtureRequest) -> Any:
    """A contract that uses the interface as its compiler encodes it."""
    artifact = CALLERS[request.param]()
    return og.w3.eth.contract(og.deploy_code(artifact), abi=artifact["abi"])


def run(fork: Fork, call: Any) -> Any:
    return fork.settle("0x" + bytes(call.transact({"from": fork.user, "gas": 4_000_000})).hex())


def kept(caller: Any) -> float:
    return float(caller.functions.value().call() / 10 ** caller.functions.decimals().call())


def test_caller__model_inference__keeps_the_output(og: Fork, caller: Any) -> None:
    assert run(og, caller.functions.infer(cid_of(og), 0, NUMBERS))["status"] == 1
    assert kept(caller) == 2.5


def test_caller__zk_mode__waits_for_a_proof(og: Fork, caller: Any) -> None:
    receipt = run(og, caller.functions.infer(cid_of(og), 1, ((7, 0), (25, 1))))
    assert kept(caller) == 9.5
    _, sidecar, _ = og.sidecar(receipt["blockNumber"])
    assert [bool(answer.lead.proof) for answer in sidecar.answers] == [True]


def test_caller__second_request_of_the_first_output__never_sees_a_simulation(og: Fork, caller: Any) -> None:
    run(og, caller.functions.infer_twice(cid_of(og), 0, NUMBERS))
    assert kept(caller) == 2.0


def test_caller__prices__are_those_of_the_feed(og: Fork, caller: Any) -> None:
    numbers = caller.functions.newest(query(order=NEWEST_FIRST)).call()
    assert [tuple(number) for number in numbers] == [(575, 1), (565, 1)]
    run(og, caller.functions.infer_on_prices(cid_of(og), query()))
    assert kept(caller) == 114


def test_caller__estimate__is_enough_for_the_transaction(og: Fork, caller: Any) -> None:
    call = caller.functions.infer(cid_of(og), 0, NUMBERS)
    gas = call.estimate_gas({"from": og.user})
    receipt = og.settle("0x" + bytes(call.transact({"from": og.user, "gas": gas})).hex())
    assert receipt["status"] == 1


def test_solidity__refused_in_a_try__reads_the_reason(og: Fork) -> None:
    artifact = CALLERS["solidity"]()
    contract = og.w3.eth.contract(og.deploy_code(artifact), abi=artifact["abi"])
    run(og, contract.functions.try_infer(cid_of(og), 2, NUMBERS))
    assert reason_of(contract.functions.refusal().call()) == Reason.ASSURANCE_UNAVAILABLE
    run(og, contract.functions.try_infer(cid_of(og), 0, ((1, 19), (1, 0))))
    assert reason_of(contract.functions.refusal().call()) == Reason.BAD_INPUT


def test_solidity__delegatecall__is_refused(og: Fork) -> None:
    artifact = CALLERS["solidity"]()
    contract = og.w3.eth.contract(og.deploy_code(artifact), abi=artifact["abi"])
    done, answer = contract.functions.delegated(b"\x72\x89\xe9\xc2").call()
    assert (done, reason_of(answer)) == (False, Reason.DELEGATED_CALL)


def test_hub__run__returns_and_logs_the_published_output(og: Fork) -> None:
    arguments = [cid_of(og), 0, ([("x", NUMBERS, (2,))], [])]
    data = RUN + encode(["string", "uint8", MODEL_INPUT], arguments)
    (returned,) = decode([abi.OUTPUT[Layout.SOLIDML]], og.w3.eth.call({"to": HUB, "data": data}))
    receipt = send(og, HUB, data)
    expected = ((("output", ((25, 1),), (1,)),), (), (), False)
    assert returned == expected
    (log,) = [log for log in receipt["logs"] if log["address"] == HUB]
    assert [bytes(topic) for topic in log["topics"]] == [
        keccak(text=f"InferenceResult({abi.OUTPUT[Layout.SOLIDML]})")
    ]
    assert decode([abi.OUTPUT[Layout.SOLIDML]], bytes(log["data"])) == (expected,)
    assert [log["address"] for log in receipt["logs"]].count(INFERENCE) == 1


@pytest.mark.parametrize("selector", [abi.RUN_LLM_COMPLETION, abi.RUN_LLM_CHAT])
def test_hub__language_model__passes_the_reason_on(og: Fork, selector: bytes) -> None:
    assert refusal(og, HUB, selector + bytes(64)) == Reason.NO_LANGUAGE_MODEL


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x12\x34\x56\x78", "hub: no such function"),
        (b"\x12", None),
        (b"", None),
        (RUN, None),
        (RUN + bytes(95), None),
        (RUN + bytes(20_480), "hub: calldata is too long"),
    ],
)
def test_hub__hostile_calldata__reverts(og: Fork, data: bytes, said: str | None) -> None:
    with pytest.raises(ContractLogicError, match=said):
        og.w3.eth.call({"to": HUB, "data": data})


def test_hub__damaged_calldata__is_refused_as_at_the_precompile(og: Fork) -> None:
    good = encode(["string", "uint8", MODEL_INPUT], [cid_of(og), 0, ([("x", NUMBERS, (2,))], [])])
    for at in (31, 64 + 31, 3 * 32, len(good) - 1):
        data = bytearray(RUN + good)
        data[4 + at] ^= 0x11
        assert refusal(og, HUB, bytes(data)) == Reason.BAD_CALLDATA
    with pytest.raises(ContractLogicError):
        og.w3.eth.call({"from": og.user, "to": HUB, "data": RUN + good, "value": 1})


def test_hub__full_input__has_room(og: Fork) -> None:
    tensor = ("x" * 64, ((1, 0),) * 256, (256,))
    data = RUN + encode(["string", "uint8", MODEL_INPUT], [cid_of(og), 0, ([tensor], [])])
    assert refusal(og, HUB, data) == Reason.BAD_INPUT


def test_scheduler__predeployed__runs_a_task_with_an_inference(og: Fork) -> None:
    scheduler = og.w3.eth.contract(SCHEDULER, abi=load("TaskScheduler").abi)
    workflow = og.w3.eth.contract(
        og.deploy_code(compiled("mocks/CountingWorkflow.vy")),
        abi=compiled("mocks/CountingWorkflow.vy")["abi"],
    )
    run(og, scheduler.functions.registerTask(workflow.address, 2**40, 60))
    run(og, scheduler.functions.execute(og.user, workflow.address))
    assert workflow.functions.runs().call() == 1


def test_verify__chain_with_price_inference__holds_without_a_file(og: Fork) -> None:
    receipt = send(og, HISTORICAL, feed_data(cid_of(og)))
    listener = bind("127.0.0.1", 0)
    threading.Thread(target=serve, args=(og.chain, listener), daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    result = CliRunner().invoke(main, ["verify", str(receipt["blockNumber"]), "--rpc", url, "--json"])
    assert result.exit_code == 0, result.output
    (answer,) = json.loads(result.output)["answers"]
    assert (answer["modelId"], answer["assurance"]) == (cid_of(og), "SIGNED")


def test_node__with_the_switch__serves_what_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "opengradient.toml"
    file.write_text('layout = "neuroml"')

    def served(*arguments: str) -> OpenGradientConfig | None:
        options = cli.node.make_context("node", list(arguments)).params
        cli.take_doors(options)
        return cli.chain_config(**options).opengradient

    assert served() is None
    assert served("--opengradient") == OpenGradientConfig()
    assert served("--opengradient", "--accounts", "3") == OpenGradientConfig()
    assert served("--opengradient", str(file)) == OpenGradientConfig(layout=Layout.NEUROML)
    with pytest.raises(ConfigError, match="cannot be read"):
        served("--opengradient", str(tmp_path / "none.toml"))


def test_folder__chain_with_prices__goes_on_with_the_same_settings_alone(tmp_path: Path) -> None:
    settings = OpenGradientConfig(feed=hourly_feed())
    for _ in range(2):
        with ForetellChain.create(ChainConfig(opengradient=settings), folder=tmp_path) as chain:
            assert chain.config.opengradient == settings
            chain.mine()
    assert chain.head.number == 2
    with pytest.raises(ConfigError, match="another opengradient"):
        ForetellChain.create(ChainConfig(opengradient=OpenGradientConfig()), folder=tmp_path)


def test_follow__chain_with_price_inference__serves_the_same_answers(og: Fork) -> None:
    send(og, HISTORICAL, feed_data(cid_of(og)))
    listener = bind("127.0.0.1", 0)
    threading.Thread(target=serve, args=(og.chain, listener), daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    message = [{"to": HISTORICAL, "data": "0x" + query_data().hex()}, "latest"]
    with ForetellChain.follow(url) as follower:
        og.until(lambda: follower.head.number == og.chain.head.number)
        assert follower.rpc("eth_call", message) == og.chain.rpc("eth_call", message)
