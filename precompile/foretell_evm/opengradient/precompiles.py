"""All precompiles of OpenGradient's interface."""

from eth_typing import Address

from foretell_evm.frame import Precompile
from foretell_evm.opengradient.addresses import HISTORICAL, INFERENCE, TEE_VERIFIER
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_evm.opengradient.historical import historical_precompile
from foretell_evm.opengradient.inference import inference_precompile
from foretell_evm.opengradient.tee import tee_precompile


def opengradient_precompiles(config: OpenGradientConfig) -> dict[Address, Precompile]:
    """By address, as a chain with these settings has them."""
    return {
        INFERENCE: inference_precompile(config),
        HISTORICAL: historical_precompile(config),
        TEE_VERIFIER: tee_precompile(),
    }
