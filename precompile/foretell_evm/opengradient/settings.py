"""OpenGradient's settings as users write them: in a TOML file, or in a section of ape-config.yaml."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from eth_typing import ChecksumAddress
from eth_utils import is_address, to_checksum_address
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foretell_evm.errors import ConfigError
from foretell_evm.opengradient.config import Layout, Mode, OpenGradientConfig
from foretell_evm.opengradient.feed import MAX_CANDLE_MINUTES
from foretell_evm.opengradient.feed_file import read_feed
from foretell_evm.strict import problem

_ModelId = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{64}$")]


class FeedSettings(BaseModel):
    """The prices of 0xF5."""

    model_config = ConfigDict(extra="forbid")

    file: Path
    """CSV or JSON, absolute or relative to the settings."""

    candle_minutes: Annotated[int, Field(gt=0, le=MAX_CANDLE_MINUTES)]
    """How long each of its candles lasts."""

    mode: Literal["vanilla", "zk", "tee"] = "vanilla"
    """Mode of ``runInferenceOnPriceFeed``, whose call names none."""


class OpenGradientSettings(BaseModel):
    """Everything has a default: a model id in hex is a CID as well."""

    model_config = ConfigDict(extra="forbid")

    models: dict[str, _ModelId] = {}
    """Model ids by CID."""

    layout: Layout = Layout.SOLIDML
    """What callers decode."""

    layouts: dict[str, Layout] = {}
    """Callers that decode another layout."""

    feed: FeedSettings | None = None

    def config(self, folder: Path) -> OpenGradientConfig:
        """The chain's configuration; paths are relative to ``folder``.

        Raises:
            ConfigError: the feed's file holds none, or a caller is no address or occurs twice.
        """
        feed = self.feed
        return OpenGradientConfig(
            models=tuple((cid, bytes.fromhex(model_id[2:])) for cid, model_id in self.models.items()),
            layout=self.layout,
            layouts=tuple((_address(caller), each) for caller, each in self.layouts.items()),
            feed=read_feed(folder / feed.file, feed.candle_minutes) if feed else None,
            feed_mode=Mode[feed.mode.upper()] if feed else Mode.VANILLA,
        )


def _address(value: str) -> ChecksumAddress:
    if not is_address(value):
        raise ConfigError(f"layouts: {value!r} is no address")
    return to_checksum_address(value)


def read_settings(file: Path) -> OpenGradientConfig:
    """The configuration that a TOML file describes.

    Raises:
        ConfigError: the file, or the feed that it names, cannot be read or holds something else.
    """
    try:
        settings = OpenGradientSettings.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        return settings.config(file.parent)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise ConfigError(f"{file}: {problem(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{file} is no TOML: {error}") from None
