"""Transactions as they go over the wire, signed here and not by a library under test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import rlp
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak

LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB, SET_CODE = range(5)
ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_AUTHORIZATION: Final = b"\x05"

AccessList = Sequence[tuple[bytes, Sequence[bytes]]]


@dataclass(frozen=True, slots=True)
class Wire:
    """Fields of a transaction of any type; each type takes its own. Fees in wei."""

    kind: int
    nonce: int
    gas: int
    to: bytes
    value: int = 0
    data: bytes = b""
    max_fee: int = 20
    tip: int = 2
    chain_id: int = 1
    access_list: AccessList = ()
    max_blob_fee: int = 10
    blob_hashes: Sequence[bytes] = ()
    authorizations: Sequence[Sequence[Any]] = field(default_factory=tuple)

    def signed(self, key: PrivateKey, *, high_s: bool = False, protected: bool = True) -> bytes:
        """The transaction's bytes. ``high_s``: with the other signature, which EIP-2 refuses."""
        if self.kind == LEGACY:
            return self._legacy(key, high_s, protected)
        head = bytes([self.kind])
        v, r, s = _signature(key, keccak(head + rlp.encode(self._fields())), high_s)
        return head + rlp.encode([*self._fields(), v, r, s])

    def _legacy(self, key: PrivateKey, high_s: bool, protected: bool) -> bytes:
        fields = [self.nonce, self.max_fee, self.gas, self.to, self.value, self.data]
        v, r, s = _signature(
            key, keccak(rlp.encode([*fields, self.chain_id, 0, 0] if protected else fields)), high_s
        )
        return rlp.encode([*fields, v + (35 + 2 * self.chain_id if protected else 27), r, s])

    def _fields(self) -> list[Any]:
        fees = [self.max_fee] if self.kind == ACCESS_LIST else [self.tip, self.max_fee]
        fields = [
            self.chain_id,
            self.nonce,
            *fees,
            self.gas,
            self.to,
            self.value,
            self.data,
            list(self.access_list),
        ]
        if self.kind == BLOB:
            fields += [self.max_blob_fee, list(self.blob_hashes)]
        if self.kind == SET_CODE:
            fields += [list(self.authorizations)]
        return fields


def authorization(
    key: PrivateKey, chain_id: int, to: bytes, nonce: int, *, high_s: bool = False
) -> list[Any]:
    """A delegation's tuple of EIP-7702."""
    digest = keccak(_AUTHORIZATION + rlp.encode([chain_id, to, nonce]))
    return [chain_id, to, nonce, *_signature(key, digest, high_s)]


def _signature(key: PrivateKey, digest: bytes, high_s: bool) -> tuple[int, int, int]:
    signature = key.sign_msg_hash(digest)
    if high_s:
        return 1 - signature.v, signature.r, ORDER - signature.s
    return signature.v, signature.r, signature.s
