"""Prague's computation with our precompiles."""

from eth.vm.forks.prague.computation import PragueComputation
from eth_typing import Address

from foretell_evm import kzg
from foretell_evm.bn254 import NATIVE_BN254, Precompile
from foretell_evm.precompile import foretell_precompile
from foretell_evm.receipts import ADDRESS


class ForetellComputation(PragueComputation):
    """Adds the inference precompile; computes BN254 and point evaluations natively."""

    _precompiles: dict[Address, Precompile] = {  # noqa: RUF012 - py-evm declares it on instances
        **PragueComputation.get_precompiles(),
        **NATIVE_BN254,
        kzg.ADDRESS: kzg.point_evaluation,
        ADDRESS: foretell_precompile,
    }
