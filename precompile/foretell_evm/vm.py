"""The fork as a py-evm VM: everything but our addresses behaves as stock Prague does."""

from eth.chains.base import Chain
from eth.vm.forks.prague import PragueVM

from foretell_evm.computation import ForetellComputation
from foretell_evm.opengradient import inference as og_inference
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_evm.state import ForetellState


class ForetellVM(PragueVM):
    """Prague with the inference precompile."""

    _state_class = ForetellState


def chain_class(chain_id: int, opengradient: OpenGradientConfig | None = None) -> type[Chain]:
    """A py-evm chain class of the fork, from block 0 on."""
    vm = ForetellVM if opengradient is None else _with_opengradient(opengradient)
    return Chain.configure("ForetellEvmChain", vm_configuration=((0, vm),), chain_id=chain_id)


def _with_opengradient(config: OpenGradientConfig) -> type[ForetellVM]:
    precompiles = {
        **ForetellComputation.get_precompiles(),
        og_inference.ADDRESS: og_inference.inference_precompile(config),
    }
    computation = type("OpenGradientComputation", (ForetellComputation,), {"_precompiles": precompiles})
    state = type("OpenGradientState", (ForetellState,), {"computation_class": computation})
    return type("OpenGradientVM", (ForetellVM,), {"_state_class": state})
