"""What OpenGradient publishes in its wheels on PyPI, bytecode and ABIs, unmodified on a chain of ours."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web3.exceptions import ContractLogicError
from web3.logs import DISCARD

from foretell_contracts import load
from foretell_evm.opengradient.addresses import HUB, SCHEDULER
from foretell_evm.rpc.http import bind, serve
from foretell_spec.reasons import Reason, revert_data
from tests.kit import published
from tests.kit.fork import Fork
from tests.kit.opengradient import HISTORICAL, INFERENCE, cid_of, opengradient_fork, query

VERSIONS = ("0.4.10", "1.1.4")
NEWEST = VERSIONS[-1]
OUTPUT = [[("output", [(114, 0)], [1])], [], [], False]


@pytest.fixture(scope="module")
def og() -> Iterator[Fork]:
    made = opengradient_fork()
    yield made
    made.close()


def run(fork: Fork, call: Any) -> Any:
    return fork.settle("0x" + bytes(call.transact({"from": fork.user, "gas": 8_000_000})).hex())


def deploy(fork: Fork, version: str, *arguments: Any) -> Any:
    artifact = published.workflow(version)
    contract = fork.w3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    sent = contract.constructor(*arguments).transact({"from": fork.user, "gas": 8_000_000})
    address = fork.w3.eth.get_transaction_receipt(sent)["contractAddress"]
    return fork.w3.eth.contract(address, abi=artifact["abi"])


def plain(value: Any) -> Any:
    """Tuples and lists alike."""
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize("version", VERSIONS)
def test_workflow_bytecode__deployed__runs_on_our_prices_and_keeps_its_history(
    og: Fork, version: str
) -> None:
    workflow = deploy(og, version, cid_of(og), "open_high_low_close", query())
    assert workflow.functions.historicalContract().call() == HISTORICAL
    assert workflow.functions.modelId().call() == cid_of(og)
    receipt = run(og, workflow.functions.run())
    assert receipt["status"] == 1
    (event,) = workflow.events.InferenceResultEmitted().process_receipt(receipt, errors=DISCARD)
    assert event["args"]["caller"] == og.user
    assert plain(workflow.functions.getInferenceResult().call()) == plain(OUTPUT)
    run(og, workflow.functions.run())
    assert plain(workflow.functions.getLastInferenceResults(5).call()) == plain([OUTPUT, OUTPUT])
    with pytest.raises(ContractLogicError, match="Number of results must be positive"):
        workflow.functions.getLastInferenceResults(0).call()


def test_workflow_bytecode__model_that_refuses__reverts_and_stores_nothing(og: Fork) -> None:
    workflow = deploy(og, NEWEST, cid_of(og), "x", query(candles=3))
    receipt = run(og, workflow.functions.run())
    assert receipt["status"] == 0
    assert workflow.functions.getLastInferenceResults(1).call() == []


def test_workflow_bytecode__by_the_published_scheduler_s_interface__runs_when_due(og: Fork) -> None:
    workflow = deploy(og, NEWEST, cid_of(og), "x", query())
    scheduler = og.w3.eth.contract(SCHEDULER, abi=published.abi(NEWEST, "WorkflowScheduler.abi"))
    run(og, scheduler.functions.registerTask(workflow.address, 2**40, 60))
    ours = og.w3.eth.contract(SCHEDULER, abi=load("TaskScheduler").abi)
    run(og, ours.functions.execute(og.user, workflow.address))
    assert len(workflow.functions.getLastInferenceResults(9).call()) == 1
    with pytest.raises(ContractLogicError, match="Task is not due"):
        ours.functions.execute(og.user, workflow.address).call()


@pytest.mark.parametrize("version", VERSIONS)
def test_hub_abi__published__calls_and_decodes_our_hub(og: Fork, version: str) -> None:
    hub = og.w3.eth.contract(HUB, abi=published.abi(version, "inference.abi"))
    numbers = [("x", [(3, 0), (-5, 1)], [2])]
    call = hub.functions.run(cid_of(og), 0, (numbers, []))
    expected = [[["output", [[25, 1]], [1]]], [], [], False]
    assert plain(call.call()) == expected
    (event,) = hub.events.InferenceResult().process_receipt(run(og, call), errors=DISCARD)
    output = event["args"]["output"]
    assert output["numbers"][0]["values"][0] == {"value": 25, "decimals": 1}
    assert output["is_simulation_result"] is False


def test_precompile_abi__published__decodes_our_event(og: Fork) -> None:
    precompile = og.w3.eth.contract(INFERENCE, abi=published.abi(NEWEST, "InferencePrecompile.abi"))
    request = (0, cid_of(og), ([("x", [(3, 0), (-5, 1)], [2])], []))
    call = precompile.functions.runModelInference(request)
    (event,) = precompile.events.ModelInferenceEvent().process_receipt(run(og, call), errors=DISCARD)
    assert event["args"]["request"]["modelCID"] == cid_of(og)
    assert og.chain.rpc("foretell_receipt", [event["args"]["inferenceID"]])["assuranceName"] == "SIGNED"


SDK_PROGRAM = """
import json, sys, types
from pathlib import Path

# The package's __init__ asks for far more than its client of the chain does (agents, accounts, payments).
folder, url, cid, key = sys.argv[1:]
for name in ("opengradient", "opengradient.client"):
    module = types.ModuleType(name)
    module.__path__ = [str(Path(folder, *name.split(".")))]
    sys.modules[name] = module
from opengradient.client.alpha import Alpha
from opengradient.types import CandleOrder, CandleType, HistoricalInputQuery, InferenceMode, SchedulerParams

alpha = Alpha(private_key=key, rpc_url=url)
inputs = {"x": [3.0, -0.5]}
told = {
    mode.name: alpha.infer(cid, mode, inputs, max_retries=1).model_output["output"].tolist()
    for mode in (InferenceMode.VANILLA, InferenceMode.ZKML)
}
query = HistoricalInputQuery("ETH", "USD", 2, 60, CandleOrder.ASCENDING, [CandleType.CLOSE])
address = alpha.new_workflow(cid, query, "prices", SchedulerParams(frequency=60, duration_hours=1))
told["address"] = address
told["run"] = alpha.run_workflow(address).numbers["output"].tolist()
told["read"] = alpha.read_workflow_result(address).numbers["output"].tolist()
told["history"] = len(alpha.read_workflow_history(address, 10))
try:
    alpha.infer("QmUnknown", InferenceMode.VANILLA, inputs, max_retries=1)
except Exception as error:
    told["unknown"] = str(error)
print(json.dumps(told))
"""


@pytest.mark.slow
def test_sdk__its_alpha_client__infers_and_runs_workflows_on_our_chain(og: Fork, tmp_path: Path) -> None:
    published.wheel(NEWEST).extractall(tmp_path)
    listener = bind("127.0.0.1", 0)
    threading.Thread(target=serve, args=(og.chain, listener), daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    key = og.chain.accounts[3].key
    done = subprocess.run(
        [sys.executable, "-c", SDK_PROGRAM, str(tmp_path), url, cid_of(og), str(key)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["VANILLA"] == told["ZKML"] == [2.5]
    assert told["run"] == told["read"] == [114.0]
    assert told["history"] == 1
    assert revert_data(Reason.UNKNOWN_MODEL).hex() in told["unknown"]
    scheduler = og.w3.eth.contract(SCHEDULER, abi=load("TaskScheduler").abi)
    assert scheduler.functions.is_due(og.chain.accounts[3].address, told["address"]).call()
