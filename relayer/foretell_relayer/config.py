"""The relayer's settings: from the command line, else from ``FORETELL_RELAY_<NAME>``, else the default."""

from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from eth_utils import is_address, to_checksum_address
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from foretell_relayer.core import Rules
from foretell_relayer.errors import BadSetting
from foretell_relayer.operator import DEVELOPMENT_CHAINS
from foretell_relayer.redact import public_url
from foretell_spec.addresses import SETTLEMENT

GWEI: Final = 10**9
DEVELOPMENT_KEY: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""First account of the mnemonic "test test ... junk", which every development chain funds and everybody
knows.
"""


class Settings(BaseSettings):
    """All settings, checked.

    ``rpc`` may contain credentials: only ``public_rpc`` belongs in a message. Times are in seconds.
    """

    model_config = SettingsConfigDict(
        env_prefix="FORETELL_RELAY_", extra="forbid", frozen=True, env_ignore_empty=True
    )

    rpc: SecretStr = SecretStr("http://127.0.0.1:8545")
    settlement: str = SETTLEMENT
    operator: str | None = None
    keystore: Path | None = None
    password_file: Path | None = None
    password: SecretStr | None = None
    dev_key: bool = False
    models: tuple[Path, ...] = ()
    journal: Path = Path("relay.sqlite3")
    from_block: int = Field(0, ge=0)
    confirmations: int = Field(1, ge=1, le=10_000)
    poll: float = Field(1.0, gt=0, le=600)
    prove_all: bool = False
    accept_insecure_srs: bool = False
    prove_margin: int = Field(60, ge=0)
    max_fee_gwei: float = Field(500.0, gt=0)
    tip_gwei: float = Field(1.0, ge=0)
    bump_after: float = Field(30.0, gt=0)
    rpc_timeout: float = Field(20.0, gt=0)
    grace: float = Field(10.0, ge=0)
    metrics_port: int | None = Field(None, ge=0, le=65535)

    @field_validator("rpc")
    @classmethod
    def _http_url(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an http:// or https:// URL is expected")
        return value

    @field_validator("settlement", "operator")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not is_address(value):
            raise ValueError("not an address")
        return value if value is None else to_checksum_address(value)

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.dev_key == (self.keystore is not None):
            raise ValueError("give either --keystore FILE or, on a development chain, --dev-key")
        return self

    @property
    def public_rpc(self) -> str:
        """The RPC's address without anything that could be a key."""
        return public_url(self.rpc.get_secret_value())

    @property
    def rules(self) -> Rules:
        """The part that decisions depend on."""
        return Rules(prove_all=self.prove_all, margin=self.prove_margin)

    @property
    def max_fee(self) -> int:
        """Ceiling of the fee per gas, in wei."""
        return int(self.max_fee_gwei * GWEI)

    @property
    def tip(self) -> int:
        """Priority fee per gas, in wei."""
        return int(self.tip_gwei * GWEI)


def load_settings(**given: Any) -> Settings:
    """Settings from ``given`` (``None`` and empty tuples mean "not given"), the environment and the defaults.

    Raises:
        BadSetting: the first one that is wrong, named; its value is not repeated, as it may be a secret.
    """
    values = {name: value for name, value in given.items() if value is not None and value != ()}
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "--" + str(first["loc"][0]).replace("_", "-") if first["loc"] else "settings"
        raise BadSetting(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None


def is_development(chain_id: int) -> bool:
    """Whether a chain is one on which nothing is worth anything."""
    return chain_id in DEVELOPMENT_CHAINS
