"""Which of OpenGradient's addresses a chain serves, and how. A chain rule: every full node needs the same."""

import re
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from eth_typing import ChecksumAddress
from eth_utils import is_checksum_address

from foretell_evm.errors import ConfigError
from foretell_evm.opengradient.addresses import HUB
from foretell_evm.opengradient.feed import PriceFeed
from foretell_spec.assurance import Assurance

_MODEL_ID: Final = re.compile(r"0x[0-9a-f]{64}", re.IGNORECASE | re.ASCII)


class Layout(Enum):
    """What a model call returns. Both generations share one selector, so calldata does not tell."""

    SOLIDML = "solidml"  # numbers, strings, jsons, is_simulation_result
    NEUROML = "neuroml"  # numbers, strings, is_simulation_result, as version 1.0.1 has it


class Mode(IntEnum):
    """``ModelInferenceMode``, by its number in the ABI."""

    VANILLA = 0
    ZK = 1
    TEE = 2

    @property
    def assurance(self) -> Assurance:
        """What the native precompile is asked for."""
        return (Assurance.SIGNED, Assurance.PROVEN, Assurance.ATTESTED)[self]


@dataclass(frozen=True, slots=True)
class OpenGradientConfig:
    """Settings of the precompiles.

    ``models`` are pairs of a CID, as contracts name it, and a model id of ModelRegistry (32 bytes);
    ``layouts`` are callers that want another layout than ``layout``; ``feed`` holds the prices of 0xF5, and
    ``feed_mode`` is the mode of inferences on them, whose call names none.

    Raises:
        ConfigError: a model id is not 32 bytes, a CID or a caller occurs twice, or a caller is no address.
    """

    models: tuple[tuple[str, bytes], ...] = ()
    layout: Layout = Layout.SOLIDML
    layouts: tuple[tuple[ChecksumAddress, Layout], ...] = ()
    feed: PriceFeed | None = None
    feed_mode: Mode = Mode.VANILLA

    def __post_init__(self) -> None:
        for cid, model_id in self.models:
            if len(model_id) != 32:
                raise ConfigError(f"model {cid!r}: an id has 32 bytes, not {len(model_id)}")
        for caller, _ in self.layouts:
            if not is_checksum_address(caller):
                raise ConfigError(f"layout of {caller!r}: not a checksummed address")
        for what, pairs in (("model", self.models), ("layout", self.layouts)):
            keys = [key for key, _ in pairs]
            if len(set(keys)) != len(keys):
                raise ConfigError(f"a {what} is given twice: {keys}")

    def model_id(self, cid: str) -> bytes | None:
        """The model that a CID names: by the table, or because it is a model id in hex itself."""
        named = dict(self.models).get(cid)
        if named is None and _MODEL_ID.fullmatch(cid):
            return bytes.fromhex(cid[2:])
        return named

    def layout_for(self, caller: ChecksumAddress) -> Layout:
        """The layout that this caller decodes; the hub's event has one published form alone."""
        return Layout.SOLIDML if caller == HUB else dict(self.layouts).get(caller, self.layout)
