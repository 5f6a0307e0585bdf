"""eth-tester's own tests of backends, which ship in its wheel, on its PyEVM backend with our VM in it."""

import pytest
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.utils.backend_testing import BaseTestBackendDirect

from foretell_evm.vm import ForetellVM


class TestBackend(BaseTestBackendDirect):
    @pytest.fixture
    def eth_tester(self) -> EthereumTester:
        return EthereumTester(backend=PyEVMBackend(vm_configuration=((0, ForetellVM),)))
