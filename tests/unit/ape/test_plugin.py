"""That Ape finds the plugin, and that finding it costs nothing."""

import subprocess
import sys

import pytest
from ape.exceptions import ProviderError
from ape.utils import ManagerAccessMixin
from eth_utils import keccak

from ape_foretell.inference import Inference
from ape_foretell.system import system_contracts
from foretell_spec.abi import ASSURANCE_OF, INFER, INFER_OPEN, INFERRED_TOPIC, RECEIPT
from foretell_spec.addresses import PRECOMPILE, SETTLEMENT
from foretell_spec.reasons import INFERENCE_ERROR_SELECTOR

HEAVY = ("eth.vm", "ezkl", "foretell_evm.chain", "foretell_relayer", "numpy", "onnx")


def test_networks__of_ape__list_the_provider_and_its_default() -> None:
    local = ManagerAccessMixin.network_manager.ethereum.local
    assert "foretell" in local.providers
    assert local.default_provider_name == "foretell"  # of this repository's ape-config.yaml


def test_ape_command__lists_networks__names_foretell() -> None:
    command = ["ape", "networks", "list", "--ecosystem", "ethereum", "--network", "local"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "foretell  (default)" in told


def test_provider__imported__loads_neither_chain_nor_models() -> None:
    script = f"import sys, ape_foretell.provider; print([name for name in {HEAVY} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"


def test_fixtures__imported__load_nothing_but_pytest() -> None:
    script = "import sys, ape_foretell.fixtures; print([name for name in sys.modules if name == 'web3'])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"


def test_inference__without_the_provider__says_what_to_set() -> None:
    with pytest.raises(ProviderError, match="default_provider: foretell"):
        _ = Inference().devnet


def test_precompile__as_ape_knows_it__is_the_specifications() -> None:
    kind = system_contracts()[PRECOMPILE]
    methods = [*kind.mutable_methods, *kind.view_methods]
    selectors = {method.name: keccak(text=method.selector)[:4] for method in methods}
    assert selectors == {
        "infer": INFER, "infer_open": INFER_OPEN, "assurance_of": ASSURANCE_OF, "receipt": RECEIPT,
    }  # fmt: skip


def test_precompile_event_and_error__as_ape_knows_them__are_the_specifications() -> None:
    kind = system_contracts()[PRECOMPILE]
    (event,), (error,) = kind.events, kind.errors
    assert keccak(text=event.selector) == INFERRED_TOPIC
    assert keccak(text=error.selector)[:4] == INFERENCE_ERROR_SELECTOR


def test_settlement__as_ape_knows_it__has_its_methods() -> None:
    names = {method.name for method in system_contracts()[SETTLEMENT].mutable_methods}
    assert {"request", "deliver", "challenge", "prove", "finalise"} <= names
