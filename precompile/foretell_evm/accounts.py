"""Funded development accounts, the same as anvil's for the same mnemonic."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from eth_keys.datatypes import PrivateKey
from eth_typing import ChecksumAddress
from eth_utils import ValidationError

from foretell_evm.errors import ConfigError

DERIVATION_PATH: Final = "m/44'/60'/0'/0/"


@dataclass(frozen=True, slots=True)
class DevAccount:
    """An account whose key everybody knows."""

    address: ChecksumAddress
    key: PrivateKey


@lru_cache(maxsize=8)
def dev_accounts(mnemonic: str, count: int) -> tuple[DevAccount, ...]:
    """The first ``count`` accounts of a mnemonic.

    Raises:
        ConfigError: the mnemonic is not one.
    """
    try:
        seed = seed_from_mnemonic(mnemonic, passphrase="")
    except ValidationError:
        failure = ConfigError("the mnemonic is none: it takes 12 to 24 words of BIP-39 with their checksum")
        failure.hint = "quote it, or leave --mnemonic out for the usual test mnemonic"
        raise failure from None
    keys = (PrivateKey(key_from_seed(seed, f"{DERIVATION_PATH}{index}")) for index in range(count))
    return tuple(DevAccount(key.public_key.to_checksum_address(), key) for key in keys)
