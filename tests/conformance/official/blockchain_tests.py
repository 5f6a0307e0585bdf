"""Blockchain tests: blocks one upon the other. The fork's builder makes each anew from its transactions.

The fork's chains have rules of their own for some fields of a header (the extra data is the sidecar's root),
so no block of another chain can be imported; what its transactions do has to be the same.
"""

from collections.abc import Iterator
from typing import Any, Final

import rlp
from eth.abc import BlockHeaderAPI
from eth.chains.base import Chain
from eth.constants import BLANK_ROOT_HASH
from eth.db.atomic import AtomicDB
from eth.exceptions import UnrecognizedTransactionType
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_typing import Address
from eth_utils import ValidationError

from foretell_evm.builder import BlockBuilder, BuiltBlock
from foretell_evm.resolution import Replay
from foretell_evm.vm import ForetellVM, chain_class, with_fields
from tests.conformance.official.findings import Finding, Json, expect, skip
from tests.conformance.official.state_tests import FORK
from tests.conformance.official.values import accounts, number, octets

KIND: Final = "blockchain tests"
_EXECUTED: Final = (
    "transaction_root", "receipt_root", "state_root", "bloom", "gas_used", "blob_gas_used", "requests_hash",
)  # fmt: skip
_OPEN: Final[dict[str, Any]] = {
    "transaction_root": BLANK_ROOT_HASH, "receipt_root": BLANK_ROOT_HASH, "bloom": 0, "gas_used": 0,
    "blob_gas_used": 0, "extra_data": b"", "requests_hash": bytes(32),
}  # fmt: skip
"""What a header holds before its block is made."""
_UNREADABLE: Final = (rlp.exceptions.RLPException, UnrecognizedTransactionType, ValidationError, TypeError)
_Block: Final = ForetellVM.get_block_class()
_REFUSED: Final = "a header that the rules of the fork's own chains refuse, or allow"


def check(name: str, test: Json) -> Iterator[Finding]:
    """Each block of a test for Prague, up to the first that is said to be invalid."""
    if test["network"] != FORK:
        yield skip(KIND, name, f"for {test['network']}, not {FORK}")
        return
    chain = chain_class(number(test.get("config", {}).get("chainid"), 1))(AtomicDB())
    parent = _genesis(chain, test)
    yield expect(KIND, f"{name}[genesis]", octets(test["genesisBlockHeader"]["stateRoot"]), parent.state_root)
    for index, each in enumerate(test["blocks"]):
        finding, parent = _check_block(chain, parent, f"{name}[{index}]", each)
        yield finding


def _genesis(chain: Chain, test: Json) -> BlockHeaderAPI:
    header: BlockHeaderAPI = rlp.decode(octets(test["genesisRLP"]), sedes=_Block).header
    context = ForetellVM.create_execution_context(header, (), ChainContext(chain.chain_id))
    state = ForetellVM.get_state_class()(chain.chaindb.db, context, BLANK_ROOT_HASH)
    for text, account in accounts(test["pre"]).items():
        address = Address(bytes.fromhex(text))
        state.set_balance(address, account.balance)
        state.set_nonce(address, account.nonce)
        state.set_code(address, bytes.fromhex(account.code))
        for slot, value in account.storage.items():
            state.set_storage(address, slot, value)
    state.persist()
    chain.chaindb.persist_header(header)
    return with_fields(header, state_root=state.state_root)


def _check_block(
    chain: Chain, parent: BlockHeaderAPI, name: str, test: Json
) -> tuple[Finding, BlockHeaderAPI]:
    exception = test.get("expectException", "")
    is_of_transaction = "TransactionException" in exception
    if exception and not is_of_transaction:
        return skip(KIND, name, _REFUSED), parent
    try:
        block = rlp.decode(octets(test["rlp"]), sedes=_Block)
    except _UNREADABLE as error:
        return expect(KIND, name, exception or "a block", exception or str(error)), parent
    if block.withdrawals:
        return skip(KIND, name, "withdrawals: the fork's chains have none"), parent
    built = _build(chain, parent, block)
    if is_of_transaction:
        all_in = len(built.record.block.transactions) == len(block.transactions)
        return expect(KIND, name, exception, "a valid block" if all_in else exception), parent
    chain.chaindb.persist_header(block.header)
    return expect(KIND, name, _facts(block.header), _facts(built.record.header)), block.header


def _build(chain: Chain, parent: BlockHeaderAPI, block: Any) -> BuiltBlock:
    header = with_fields(block.header, **_OPEN)
    return BlockBuilder(chain, header, parent.state_root, Replay([]), 0).build(block.transactions)


def _facts(header: PragueBlockHeader) -> dict[str, Any]:
    return {each: getattr(header, each) for each in _EXECUTED}
