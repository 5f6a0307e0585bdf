"""The section ``foretell:`` of ``ape-config.yaml``."""

from pathlib import Path
from typing import Any, Final

from ape.api import PluginConfig
from ape.exceptions import ConfigError
from ape.utils import ManagerAccessMixin
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from foretell_evm.opengradient.settings import OpenGradientSettings

MODELS_FOLDER: Final = "models"


class ForetellConfig(PluginConfig):
    """How the chain starts. Accounts, their number and their balance are those of the section ``test:``."""

    models: list[Path] | None = None
    """Model folders to register, absolute or relative to the project. Default: every folder in ``models/``
    that holds a ``manifest.json``.
    """

    operators: int = Field(default=2, ge=0, le=16)
    """How many honest operators answer. A dispute takes two."""

    operator_bond: int = 1_000 * 10**18
    """Bond of each, in wei or as ``"1000 ether"``: what results that are not final can put at risk."""

    chain_id: int = 31337
    """The chain's id. Models whose SRS was generated on one machine are served on 31337 and 1337 alone."""

    gas_limit: int = 30_000_000
    """Gas limit of a block."""

    auto_mine: bool = True
    """Whether each transaction gets a block at once."""

    answer_seconds: float = 120.0
    """How long a transaction or a call may wait for its inferences, proofs among them."""

    opengradient: OpenGradientSettings | None = None
    """OpenGradient's interface at 0xF4, 0xF5 and 0x900 (docs/guides/opengradient.md); ``{}`` serves it with
    defaults. Paths are relative to the project.
    """

    model_config = SettingsConfigDict(extra="forbid", env_prefix="APE_FORETELL_")

    @field_validator("operator_bond", mode="before")
    @classmethod
    def _to_wei(cls, value: Any) -> Any:
        return ManagerAccessMixin.conversion_manager.convert(value, int) if isinstance(value, str) else value

    def model_folders(self, project: Path) -> list[Path]:
        """The folders that ``models`` names, absolute.

        Raises:
            ConfigError: one of them is no model.
        """
        if self.models is None:
            return sorted(path.parent for path in (project / MODELS_FOLDER).glob("*/manifest.json"))
        folders = [project / path for path in self.models]
        for folder in folders:
            if not (folder / "manifest.json").is_file():
                raise ConfigError(f"foretell: {folder} is no model folder; `foretell model add` makes one")
        return folders
