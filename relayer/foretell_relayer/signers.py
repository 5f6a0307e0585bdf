"""Who signs: the operator's hot key, in this process or in web3signer. Its texts show the address alone."""

from dataclasses import dataclass
from typing import Any, Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey
from eth_typing import ChecksumAddress

from foretell_spec.bundle import Bundle


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A signed transaction: its hash, and the bytes that go to the node."""

    hash: bytes
    raw: bytes


class Signer(Protocol):
    """A key that signs bundles and transactions. Both calls may raise ``KeyStoreError``."""

    @property
    def address(self) -> ChecksumAddress:
        """The key's address."""
        ...

    async def sign_transaction(self, transaction: dict[str, Any]) -> SignedTransaction:
        """Sign a transaction of type 2."""
        ...

    async def sign_bundle(self, bundle: Bundle, chain_id: int, contract: ChecksumAddress) -> bytes:
        """Signature of a bundle for one contract on one chain, ``r || s || v``."""
        ...


class LocalSigner:
    """A key in this process."""

    __slots__ = ("_account",)

    def __init__(self, key: bytes) -> None:
        self._account: LocalAccount = Account.from_key(key)

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"

    def __reduce__(self) -> Any:
        raise TypeError("a signer does not leave its process")

    @property
    def address(self) -> ChecksumAddress:
        return self._account.address

    async def sign_transaction(self, transaction: dict[str, Any]) -> SignedTransaction:
        signed = self._account.sign_transaction(transaction)
        return SignedTransaction(bytes(signed.hash), bytes(signed.raw_transaction))

    async def sign_bundle(self, bundle: Bundle, chain_id: int, contract: ChecksumAddress) -> bytes:
        return bundle.signed(PrivateKey(bytes(self._account.key)), chain_id, contract).signature
