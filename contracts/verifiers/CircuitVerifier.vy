# pragma version 0.4.3
# pragma nonreentrancy off
"""
@title CircuitVerifier
@license Apache-2.0
@author Foretell
@notice The only caller of EZKL verifiers: checks that a model gives these outputs for these inputs.
@dev True or revert, never False. A revert may have many causes (no gas among them) and proves nobody guilty.
     Stateless and view, so there is nothing to re-enter.
@custom:invariant verify returns True only if the pinned code accepted the proof with these very integers as instances.
@custom:security Builds the verifier's calldata itself from typed values; never forwards bytes.
"""

from ..interfaces import ICircuitVerifier
from ..interfaces import IModelRegistry
from ..lib import tensor

implements: ICircuitVerifier

MAX_INPUTS: constant(uint256) = 256
MAX_OUTPUTS: constant(uint256) = 64
MAX_INSTANCES: constant(uint256) = MAX_INPUTS + MAX_OUTPUTS
MAX_PROOF_BYTES: constant(uint256) = 16384
# A call that ends with less than this part of its gas ran out of it: one 64th stays with the caller.
OUT_OF_GAS_PART: constant(uint256) = 32

model_registry: public(immutable(address))


@deploy
def __init__(model_registry_: address):
    """
    @param model_registry_ Where verifiers are pinned to models.
    """
    assert model_registry_ != empty(address), "verifier: registry is zero"
    model_registry = model_registry_


@external
@view
def verify(
    model_id: bytes32,
    inputs: DynArray[int256, MAX_INPUTS],
    outputs: DynArray[int256, MAX_OUTPUTS],
    proof: Bytes[MAX_PROOF_BYTES],
) -> bool:
    """
    @notice Verify that the model's circuit maps the quantised inputs to the quantised outputs.
    @dev Each integer has one canonical field element, so no other instances can stand for it. The code of the
         verifier is compared with the manifest on every call. The answer must be one word that is 1.
    @param model_id A CIRCUIT model.
    @param inputs Quantised inputs.
    @param outputs Quantised outputs.
    @param proof The proof, as EZKL gives it for the EVM.
    @return True; everything else reverts.
    """
    circuit: IModelRegistry.Circuit = staticcall IModelRegistry(model_registry).circuit(model_id)
    assert circuit.verifier != empty(address), "verifier: model has no circuit"
    assert circuit.verifier.codehash == circuit.code_hash, "verifier: code differs"
    assert len(inputs) == circuit.input_size, "verifier: wrong input size"
    assert len(outputs) == circuit.output_size, "verifier: wrong output size"

    instances: DynArray[uint256, MAX_INSTANCES] = []
    for q: int256 in inputs:
        instances.append(tensor.felt(q))
    for q: int256 in outputs:
        instances.append(tensor.felt(q))

    gas_before: uint256 = msg.gas
    accepted: bool = False
    answer: Bytes[64] = b""
    accepted, answer = raw_call(
        circuit.verifier,
        abi_encode(proof, instances, method_id=method_id("verifyProof(bytes,uint256[])")),
        max_outsize=64,
        gas=msg.gas,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not accepted:
        assert msg.gas > gas_before // OUT_OF_GAS_PART, "verifier: out of gas"
        raise "verifier: proof rejected"
    assert len(answer) == 32, "verifier: malformed answer"
    assert extract32(answer, 0, output_type=uint256) == 1, "verifier: proof rejected"
    return True
