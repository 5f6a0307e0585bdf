"""Funded development accounts, the same as anvil's for the same mnemonic."""

from dataclasses import dataclass
from functools import lru_cache

from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from eth_keys.datatypes import PrivateKey
from eth_typing import ChecksumAddress

_PATH = "m/44'/60'/0'/0/{index}"


@dataclass(frozen=True, slots=True)
class DevAccount:
    """An account whose key everybody knows."""

    address: ChecksumAddress
    key: PrivateKey


@lru_cache(maxsize=8)
def dev_accounts(mnemonic: str, count: int) -> tuple[DevAccount, ...]:
    """The first ``count`` accounts of a mnemonic.

    Raises:
        eth_utils.ValidationError: the mnemonic is not one.
    """
    seed = seed_from_mnemonic(mnemonic, passphrase="")
    keys = (PrivateKey(key_from_seed(seed, _PATH.format(index=index))) for index in range(count))
    return tuple(DevAccount(key.public_key.to_checksum_address(), key) for key in keys)
