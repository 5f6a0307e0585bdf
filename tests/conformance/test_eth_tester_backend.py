"""eth-tester's own tests of backends, which ship in its wheel, on its PyEVM backend with our states.

How blocks are kept is not compared: eth-tester keeps them in tries, as stock py-evm does.
"""

import pytest
from eth.vm.forks.prague import PragueVM
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.utils.backend_testing import BaseTestBackendDirect

from foretell_evm.state import ForetellState


class VmOfOurs(PragueVM):
    _state_class = ForetellState


class TestBackend(BaseTestBackendDirect):
    @pytest.fixture
    def eth_tester(self) -> EthereumTester:
        return EthereumTester(backend=PyEVMBackend(vm_configuration=((0, VmOfOurs),)))
