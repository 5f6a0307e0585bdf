"""The VM against the vectors that the specification runs too: gas and revert data of native calls."""

from typing import Any

import pytest
from eth_typing import Address

from foretell_evm.execution import Call
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.reasons import Reason, revert_data
from tests.kit.fork import Fork
from tests.kit.vectors import cases, raw

GAS = 5_000_000


def computation_of(fork: Fork, data: bytes) -> Any:
    call = Call(Address(b"\x11" * 20), raw(PRECOMPILE), data, 0, GAS)
    return fork.chain.calls.call(call, pending=True)


@pytest.mark.parametrize("vector", cases("native", "fail"))
def test_fail_vector__reverts_with_its_data_for_its_gas(fork: Fork, vector: dict[str, Any]) -> None:
    computation = computation_of(fork, raw(vector["data"]))
    assert not computation.is_success
    assert computation.output == raw(vector["output"])
    assert computation.get_gas_used() == vector["gas"]


@pytest.mark.parametrize("vector", cases("native", "infer"))
def test_infer_vector__is_decoded_and_priced(fork: Fork, vector: dict[str, Any]) -> None:
    computation = computation_of(fork, raw(vector["data"]))
    # The vectors' model is on no chain: what is refused is the model, so the call was understood.
    assert computation.output == revert_data(Reason.UNKNOWN_MODEL)
    assert computation.get_gas_used() == vector["gas"]
