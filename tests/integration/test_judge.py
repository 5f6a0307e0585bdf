"""``foretell judge`` and what nodes may tell it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak

from foretell_cli.app import main
from foretell_relayer.models.folder import ModelFolder
from foretell_relayer.models.samples import quantise_rows
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.bundle import Bundle
from foretell_spec.divergence import DeterminismClass
from foretell_spec.request import precompile_request_id
from foretell_spec.sidecar import Dissent
from foretell_spec.tensor import tensor_hash
from tests.kit import models
from tests.kit.fork import Fork
from tests.kit.nodes import about, lying_node

KEY = PrivateKey(keccak(text="operator of the judged"))
OTHER = "0x" + "22" * 20
RIGHT = 153143
"""Output of the fixed-point model for its first sample, in steps of 2**-18."""


@pytest.fixture(scope="module")
def fork() -> Iterator[Fork]:
    made = Fork()
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return models.of_class(DeterminismClass.INTEGER, tmp_path_factory.mktemp("judge") / "model")


def claim(folder: ModelFolder, output: int, **changes: Any) -> Bundle:
    inputs = changes.pop("inputs", quantise_rows(folder.samples()[:1], 12)[0])
    request = precompile_request_id(31337, folder.model_id, tensor_hash(inputs))
    operator = KEY.public_key.to_checksum_address()
    bundle = Bundle(request, folder.model_id, inputs, (output,), operator)
    return replace(bundle, **changes).signed(KEY, 31337, PRECOMPILE)


def told(fork: Fork, folder: ModelFolder, dissents: Any) -> Result:
    def pool(_: Any) -> Any:
        return {"dissents": dissents}

    with lying_node(fork.chain, about("foretell_pool", pool)) as url:
        return CliRunner().invoke(main, ["judge", "--rpc", url, "--model", str(folder.path)])


def test_judge__a_lie_beside_the_truth__is_named(fork: Fork, folder: ModelFolder) -> None:
    dissent = Dissent(claim(folder, RIGHT), claim(folder, RIGHT + 1, operator=OTHER))
    result = told(fork, folder, [dissent.to_json()])
    assert result.exit_code == 0, result.output
    assert f"{dissent.first.operator}  {RIGHT}  as the model says" in result.output
    assert f"{OTHER}  {RIGHT + 1}  deviated: not what the model gives, bit for bit" in result.output
    assert f"stands: {RIGHT}" in result.output


def test_judge__nothing_to_judge__says_so(fork: Fork, folder: ModelFolder) -> None:
    assert told(fork, folder, []).output == "0 judged\n"


def test_judge__another_model__is_counted(fork: Fork, folder: ModelFolder) -> None:
    other = keccak(text="another model")
    request = precompile_request_id(31337, other, tensor_hash((1,)))
    bundle = claim(folder, 1, model_id=other, inputs=(1,), request_id=request)
    dissent = Dissent(bundle, replace(bundle, outputs=(2,)))
    assert told(fork, folder, [dissent.to_json()]).output == "0 judged, 1 about other models\n"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda bundle: replace(bundle, seed=b"\1" * 32), "does not follow from model, input and seed"),
        (lambda bundle: replace(bundle, signature=bytes(65)), "it does not hold: v is not 27 or 28"),
        (lambda bundle: replace(bundle, inputs=bundle.inputs[:-1]), "does not follow from model, input"),
    ],
)
def test_judge__claim_that_cannot_be_right__is_told_and_not_judged(
    fork: Fork, folder: ModelFolder, spoil: Callable[[Bundle], Bundle], said: str
) -> None:
    dissent = Dissent(claim(folder, RIGHT), spoil(claim(folder, RIGHT + 1)))
    result = told(fork, folder, [dissent.to_json()])
    assert result.exit_code == 0, result.output
    assert said in result.output
    assert "not judged" in result.output
    assert "deviated" not in result.output


def test_judge__input_outside_the_domain__is_told(fork: Fork, folder: ModelFolder) -> None:
    wild = (1 << 40,) * 22
    dissent = Dissent(claim(folder, 1, inputs=wild), claim(folder, 2, inputs=wild))
    assert "outside the model's domain" in told(fork, folder, [dissent.to_json()]).output


@pytest.mark.parametrize("answer", [None, 7, {}, {"first": 1}, "text"])
def test_judge__node_that_gives_no_dissents__is_one_line(
    fork: Fork, folder: ModelFolder, answer: Any
) -> None:
    result = told(fork, folder, [answer])
    assert result.exit_code == 1
    assert "gives no dissents" in " ".join(result.output.split())
    assert "Traceback" not in result.output
