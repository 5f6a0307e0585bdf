"""A state as a file, in the form that anvil dumps and loads: gzipped JSON of all accounts.

Others may have made the file: it is an edit of the state that the user asks for, and no more.
"""

import gzip
import io
from collections.abc import Iterator
from typing import Annotated, Any, Final

import rlp
from eth.abc import BlockHeaderAPI, DatabaseAPI, StateAPI
from eth.constants import EMPTY_SHA3
from eth.rlp.accounts import Account
from eth_typing import Address
from eth_utils import to_checksum_address
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json
from trie import HexaryTrie
from trie.iter import NodeIterator

from foretell_evm.errors import DumpError

MAX_BYTES: Final = 512 * 1024 * 1024
"""Of the unpacked JSON; a small file can unpack to any size."""

_GZIP_MAGIC: Final = b"\x1f\x8b"


def _integer(value: Any) -> Any:
    """JSON numbers and hex quantities alike: anvil writes nonces as the one, balances as the other."""
    if isinstance(value, str) and value.startswith("0x"):
        return int(value, 16)
    return value


def _data(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("not 0x-prefixed hex data")
    return bytes.fromhex(value[2:])


_Word = Annotated[int, BeforeValidator(_integer), Field(ge=0, lt=2**256, strict=True)]
_Nonce = Annotated[int, BeforeValidator(_integer), Field(ge=0, lt=2**64, strict=True)]
_Code = Annotated[bytes, BeforeValidator(_data)]
_Address = Annotated[bytes, BeforeValidator(_data), Field(min_length=20, max_length=20)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", defer_build=True)


class DumpedAccount(_Part):
    """An account: wei, nonce, code, and storage by slot."""

    nonce: _Nonce = 0
    balance: _Word = 0
    code: _Code = b""
    storage: dict[_Word, _Word] = {}


class DumpedBlock(_Part):
    """The block after which the state was dumped."""

    number: _Word = 0
    timestamp: Annotated[int, BeforeValidator(_integer), Field(ge=0, lt=2**63, strict=True)] = 0


class Dump(_Part):
    """All accounts of a state."""

    accounts: dict[_Address, DumpedAccount]
    block: DumpedBlock | None = None

    @classmethod
    def read(cls, packed: bytes) -> "Dump":
        """Read a dump, gzipped or not.

        Raises:
            DumpError: it is none, or too large.
        """
        try:
            return cls.model_validate(from_json(_unpacked(packed), allow_inf_nan=False))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DumpError(f"not a dumped state: {where or 'it'}: {first['msg']}") from None
        except ValueError as error:
            raise DumpError(f"not a dumped state: {error}") from None

    def apply(self, state: StateAPI) -> None:
        """Write the accounts into a state; what the dump does not name stays as it is."""
        for key, account in self.accounts.items():
            address = Address(key)
            state.set_balance(address, account.balance)
            state.set_nonce(address, account.nonce)
            state.set_code(address, account.code)
            for slot, value in account.storage.items():
                state.set_storage(address, slot, value)


def _unpacked(packed: bytes) -> bytes:
    if not packed.startswith(_GZIP_MAGIC):
        return packed
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            unpacked = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError) as error:
        raise DumpError(f"not a dumped state: {error}") from None
    if len(unpacked) > MAX_BYTES:
        raise DumpError(f"the dump unpacks to over {MAX_BYTES} bytes")
    return unpacked


def dump_state(nodes: DatabaseAPI, state_root: bytes, header: BlockHeaderAPI) -> bytes:
    """The state of a root, after the block of ``header``, as :meth:`Dump.read` takes it."""
    accounts = {
        to_checksum_address(address).lower(): {
            "nonce": account.nonce,
            "balance": hex(account.balance),
            "code": "0x" + (b"" if account.code_hash == EMPTY_SHA3 else nodes[account.code_hash]).hex(),
            "storage": dict(_storage(nodes, account.storage_root)),
        }
        for address, account in _accounts(nodes, state_root)
    }
    fields: Any = header
    block = {
        "number": hex(fields.block_number),
        "beneficiary": to_checksum_address(fields.coinbase).lower(),
        "timestamp": hex(fields.timestamp),
        "gas_limit": fields.gas_limit,
        "basefee": fields.base_fee_per_gas,
        "difficulty": "0x0",
        "prevrandao": "0x" + fields.mix_hash.hex(),
    }
    # No blocks are in the file, and anvil wants the best one to be one that it has.
    dumped = {"block": block, "accounts": accounts, "best_block_number": 0}
    # No time in it: the same state is the same file.
    return gzip.compress(to_json(dumped), mtime=0)


def _leaves(nodes: DatabaseAPI, root: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What a trie holds under what: the keys before they were hashed."""
    for key, value in NodeIterator(HexaryTrie(nodes, root)).items():
        yield nodes[key], value


def _accounts(nodes: DatabaseAPI, root: bytes) -> Iterator[tuple[bytes, Account]]:
    for address, value in _leaves(nodes, root):
        yield address, rlp.decode(value, sedes=Account)


def _storage(nodes: DatabaseAPI, root: bytes) -> Iterator[tuple[str, str]]:
    for slot, value in _leaves(nodes, root):
        stored = rlp.decode(value, sedes=rlp.sedes.big_endian_int)
        yield "0x" + slot.hex(), f"0x{stored:064x}"
