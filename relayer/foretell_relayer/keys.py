"""The operator's signing key: read once, kept in one object, shown nowhere."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog
from eth_account import Account
from eth_typing import ChecksumAddress
from pydantic_core import from_json

from foretell_relayer.config import DEVELOPMENT_KEY, Settings, is_development
from foretell_relayer.errors import (
    BadKeystore,
    BadSetting,
    DevelopmentKey,
    NotAnOperator,
    NotTheSigner,
    WrongPassword,
)
from foretell_relayer.signers import LocalSigner, Signer
from foretell_relayer.web3signer import RemoteSigner
from foretell_relayer.work import in_thread
from foretell_spec.addresses import ZERO_ADDRESS

log = structlog.get_logger(__name__)
MAX_KEYSTORE_BYTES: Final = 64 << 10
Prompt = Callable[[str], str]


async def open_signer(settings: Settings, chain_id: int, prompt: Prompt | None = None) -> Signer:
    """The signer that the settings name: a key here, or one in web3signer. Raises what ``load_signer``
    raises, and ``SignerWrong`` where web3signer does not hold the key.
    """
    if settings.remote_signer is None:
        return await in_thread(load_signer, settings, chain_id, prompt)
    address = ChecksumAddress(settings.remote_address)  # type: ignore[arg-type]  # validated as one
    remote = RemoteSigner(settings.remote_signer.get_secret_value(), address)
    await remote.find_key()
    return remote


def load_signer(settings: Settings, chain_id: int, prompt: Prompt | None = None) -> LocalSigner:
    """The key that the settings name.

    Args:
        settings: where the key is.
        chain_id: the chain that it will sign for.
        prompt: asks a person for a password; ``None`` where nobody can be asked.

    Raises:
        KeyStoreError: the key is not there, cannot be opened, or is not fit for this chain.
        BadSetting: nobody gave a password.
    """
    if settings.dev_key:
        if not is_development(chain_id):
            raise DevelopmentKey(
                f"chain {chain_id} is no development chain: everybody knows the development key"
            )
        return LocalSigner(bytes.fromhex(DEVELOPMENT_KEY[2:]))
    if settings.keystore is None:
        raise BadSetting("--keystore: no keystore was given")
    keystore = _read(settings.keystore)
    signer = LocalSigner(_decrypt(keystore, _password(settings, prompt), settings.keystore))
    stated = keystore.get("address")
    if isinstance(stated, str) and stated.lower().removeprefix("0x") != signer.address[2:].lower():
        # Somebody put another key under a name that is trusted, or took one file for another.
        raise BadKeystore(f"{settings.keystore} says that it holds another address than it does")
    return signer


def require_signer(operator: ChecksumAddress, registered: ChecksumAddress, signer: Signer) -> None:
    """Check that this key speaks for the operator.

    Args:
        operator: the bonded account.
        registered: what ``OperatorRegistry.signer_of(operator)`` says.
        signer: our key.

    Raises:
        NotAnOperator: nobody speaks for the operator.
        NotTheSigner: somebody else does.
    """
    if registered == ZERO_ADDRESS:
        raise NotAnOperator(f"{operator} is not a registered operator, or its bond is below the minimum")
    if registered != signer.address:
        raise NotTheSigner(
            f"operator {operator} registered the signer {registered}; this key is {signer.address}"
        )


def warn_of_hot_bond(operator: ChecksumAddress, signer: Signer, chain_id: int) -> None:
    """Say so where the key that lies on this machine could also take the bond away."""
    if operator == signer.address and not is_development(chain_id):
        log.warning(
            "bond_key_is_hot",
            operator=operator,
            hint="Register the bond from a key that stays offline, with this key as its signer.",
        )


def forbid_core_files() -> None:
    """Keep the key out of core files, of this process and of its children."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_KEYSTORE_BYTES:
            raise BadKeystore(f"{path} is too large for a keystore")
        value = from_json(path.read_bytes())
    except OSError as error:
        raise BadKeystore(f"{path}: {error.strerror}") from None
    except ValueError:
        raise BadKeystore(f"{path} is not JSON") from None
    if not isinstance(value, dict) or value.get("version") != 3:
        raise BadKeystore(f"{path} is not a keystore of version 3")
    return value


def _password(settings: Settings, prompt: Prompt | None) -> str:
    if settings.password_file is not None:
        try:
            if settings.password_file.stat().st_mode & 0o044:
                raise BadKeystore(
                    f"{settings.password_file} can be read by other users: chmod 600 {settings.password_file}"
                )
            return settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError):
            raise BadKeystore(f"{settings.password_file} cannot be read") from None
    if settings.password is not None:
        return settings.password.get_secret_value()
    if prompt is None:
        raise BadSetting("--password-file: the keystore needs a password")
    return prompt(f"Password of {settings.keystore}")


def _decrypt(keystore: dict[str, Any], password: str, path: Path) -> bytes:
    try:
        return bytes(Account.decrypt(keystore, password))
    except ValueError as error:
        if "MAC" in str(error):
            raise WrongPassword(f"the password does not open {path}") from None
        raise BadKeystore(f"{path}: the keystore is damaged") from None
    except (KeyError, TypeError, NotImplementedError, AttributeError):
        raise BadKeystore(f"{path}: the keystore is damaged") from None
