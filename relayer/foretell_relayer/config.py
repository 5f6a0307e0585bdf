"""The relayer's settings: from the command line, else from ``FORETELL_RELAY_<NAME>``, else the default."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from eth_utils import is_address, to_checksum_address
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from foretell_relayer.core import Rules
from foretell_relayer.errors import BadSetting
from foretell_relayer.operator import DEVELOPMENT_CHAINS
from foretell_relayer.redact import public_url
from foretell_spec.addresses import SETTLEMENT

GWEI: Final = 10**9
PATHS: Final = frozenset({"keystore", "password_file", "models", "journal"})
"""Settings that are paths."""

DEVELOPMENT_KEY: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""First account of the mnemonic "test test ... junk", which every development chain funds and everybody
knows.
"""


class Settings(BaseSettings):
    """All settings, checked.

    ``rpc`` is one URL or several, and may contain credentials: only ``public_rpc`` belongs in a message. So
    may ``database`` and ``remote_signer``. Times are in seconds; ``bond_rate`` is what a locked bond costs a
    year, as a part of it.
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
    http: str | None = None
    http_names: tuple[str, ...] = ()
    least_ether: float = Field(0.05, ge=0)

    # The journal on a server instead of in a file, and for how long it tells of closed requests.
    database: SecretStr | None = None
    keep_days: float = Field(30.0, ge=1)

    # The key in web3signer.
    remote_signer: SecretStr | None = None
    remote_address: str | None = None

    # Which work is worth taking.
    only_profitable: bool = False
    proof_cost_gwei: float = Field(0.0, ge=0)
    bond_rate: float = Field(0.05, ge=0, le=10)
    breaker_after: int = Field(5, ge=1)
    breaker_pause: float = Field(60.0, gt=0)

    @field_validator("rpc")
    @classmethod
    def _http_urls(cls, value: SecretStr) -> SecretStr:
        if not all(_is_http(url) for url in _urls(value)):
            raise ValueError("an http:// or https:// URL is expected, or several with commas between them")
        return value

    @field_validator("remote_signer")
    @classmethod
    def _http_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_http(value.get_secret_value()):
            raise ValueError("an http:// or https:// URL is expected")
        return value

    @field_validator("database")
    @classmethod
    def _postgres_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and urlsplit(value.get_secret_value()).scheme != "postgresql":
            raise ValueError("a postgresql:// URL is expected")
        return value

    @field_validator("settlement", "operator", "remote_address")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not is_address(value):
            raise ValueError("not an address")
        return value if value is None else to_checksum_address(value)

    @field_validator("http")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None:
            parse_listener(value)
        return value

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if [self.dev_key, self.keystore is not None, self.remote_signer is not None].count(True) != 1:
            raise ValueError(
                "give either --keystore FILE, --remote-signer URL or, on a development chain, --dev-key"
            )
        if self.remote_signer is not None and self.remote_address is None:
            raise ValueError("--remote-signer needs --remote-address, the address of the key to sign with")
        return self

    @property
    def public_rpc(self) -> str:
        """The nodes' addresses without anything that could be a key."""
        return ", ".join(public_url(url) for url in self.rpc_urls)

    @property
    def rpc_urls(self) -> tuple[str, ...]:
        """The nodes' URLs, with their keys, the preferred one first."""
        return _urls(self.rpc)

    @property
    def where(self) -> Path | str:
        """Where the journal is."""
        return self.journal if self.database is None else self.database.get_secret_value()

    @property
    def proof_cost(self) -> int:
        """What one proof costs us, in wei."""
        return int(self.proof_cost_gwei * GWEI)

    @property
    def rules(self) -> Rules:
        """The part that decisions depend on."""
        return Rules(prove_all=self.prove_all, margin=self.prove_margin)

    @property
    def least_balance(self) -> int:
        """Balance below which the relayer says that it is not ready, in wei."""
        return int(self.least_ether * 10**18)

    @property
    def max_fee(self) -> int:
        """Ceiling of the fee per gas, in wei."""
        return int(self.max_fee_gwei * GWEI)

    @property
    def tip(self) -> int:
        """Priority fee per gas, in wei."""
        return int(self.tip_gwei * GWEI)


def _urls(value: SecretStr) -> tuple[str, ...]:
    return tuple(url.strip() for url in re.split(r",\s*(?=\w+://)", value.get_secret_value()))


def _is_http(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def parse_listener(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT`` or ``PORT``; the host is this machine's loopback by default.

    Raises:
        ValueError: it is none.
    """
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ValueError("a port, or HOST:PORT, is expected")
    return host.strip("[]") or "127.0.0.1", int(port)


def load_settings(config: Path | None = None, **given: Any) -> Settings:
    """Settings from ``given`` (``None`` and empty tuples mean "not given"), the environment, the file
    ``config`` and the defaults, in this order.

    Raises:
        BadSetting: the first one that is wrong, named; its value is not repeated, as it may be a secret.
    """
    values = {name: value for name, value in given.items() if value is not None and value != ()}
    try:
        return _reading({} if config is None else read_config(config))(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "--" + str(first["loc"][0]).replace("_", "-") if first["loc"] else "settings"
        raise BadSetting(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None


def read_config(path: Path) -> dict[str, Any]:
    """A configuration file's values. Paths in it are relative to its folder.

    Raises:
        BadSetting: it cannot be read, is no TOML, or holds a password.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSetting(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise BadSetting(f"{path}: not TOML ({error})") from None
    if "password" in values:
        raise BadSetting(f"{path}: a password does not belong into this file; name a file with password_file")
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise BadSetting(f"{path}: there is no setting {unknown[0]!r}")
    return {name: _from_folder(path.resolve().parent, name, value) for name, value in values.items()}


def journal_of(config: Path | None, journal: Path | None, database: str | None) -> Path | str:
    """Where the journal is, as ``Settings.where`` says it: what was given, else what the configuration says,
    else the default; a database before a file.
    """
    named = {} if config is None else read_config(config)
    server = database or named.get("database")
    if server:
        return str(server)
    return Path(str(journal or named.get("journal") or Settings.model_fields["journal"].default))


def _from_folder(folder: Path, name: str, value: Any) -> Any:
    if name in PATHS and isinstance(value, str):
        return folder / value
    if name in PATHS and isinstance(value, list):
        return [folder / each if isinstance(each, str) else each for each in value]
    return value


def _reading(values: dict[str, Any]) -> type[Settings]:
    """The settings' class with a file's values below the environment's."""

    class WithFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic's signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=values)

    return WithFile


def is_development(chain_id: int) -> bool:
    """Whether a chain is one on which nothing is worth anything."""
    return chain_id in DEVELOPMENT_CHAINS
