"""The operator's signing key: read once, kept in one object, shown nowhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

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
from foretell_spec.addresses import ZERO_ADDRESS

MAX_KEYSTORE_BYTES: Final = 64 << 10
Prompt = Callable[[str], str]


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
    return LocalSigner(_decrypt(keystore, _password(settings, prompt), settings.keystore))


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
