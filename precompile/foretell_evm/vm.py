"""The fork as a py-evm VM: everything but our addresses behaves as stock Prague does."""

from eth.chains.base import Chain
from eth.vm.forks.prague import PragueVM

from foretell_evm.state import ForetellState


class ForetellVM(PragueVM):
    """Prague with the inference precompile."""

    _state_class = ForetellState


def chain_class(chain_id: int) -> type[Chain]:
    """A py-evm chain class of the fork, from block 0 on."""
    return Chain.configure("ForetellEvmChain", vm_configuration=((0, ForetellVM),), chain_id=chain_id)
