"""Ethereum's own contracts: a block tells them its parent first, and so does all that runs ahead of it."""

from hashlib import sha256

import pytest
import rlp
from eth.abc import BlockHeaderAPI
from eth.chains.base import Chain
from eth.db.atomic import AtomicDB
from eth.vm import opcode_values as op
from eth.vm.forks.cancun.constants import BEACON_ROOTS_ADDRESS
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.constants import (
    CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    HISTORY_STORAGE_ADDRESS,
    MAX_BLOB_GAS_PER_BLOCK,
    WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
)
from eth_keys.datatypes import Signature
from eth_utils import keccak, to_canonical_address, to_checksum_address

from foretell_evm.blocks import next_header
from foretell_evm.ethereum_contracts import CONSOLIDATION_REQUEST_CODE, WITHDRAWAL_REQUEST_CODE
from foretell_evm.full_node import FullNode
from foretell_evm.genesis import allocation
from foretell_evm.vm import with_fields
from foretell_spec.addresses import PRECOMPILE, ZERO_ADDRESS
from tests.kit.bytecode import assemble, call, deployment, push
from tests.kit.fork import Fork

WORD = 32
EMPTY_REQUESTS = sha256(b"").digest()
QUEUES = {
    to_checksum_address(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS): 56,
    to_checksum_address(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS): 96,
}
"""Bytes of a request by the contract that takes it."""


@pytest.mark.parametrize(
    ("runtime", "s", "address"),
    [
        (
            WITHDRAWAL_REQUEST_CODE,
            0x5FEEB084551E4E03A3581E269BC2EA2F8D0008,
            WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
        ),
        (
            CONSOLIDATION_REQUEST_CODE,
            0xC0730F92DC275B663D377A7CBB141B6600052,
            CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
        ),
    ],
)
def test_code__deployed_as_the_eip_says__gets_to_its_address(runtime: bytes, s: int, address: bytes) -> None:
    # The signature is made up (r = 0x539): sender and address follow from every bit of the code.
    creation = assemble(push(2**256 - 1), op.PUSH0, op.SSTORE, push(len(runtime), 2), op.DUP1)
    creation += assemble(push(0x2D), op.PUSH0, op.CODECOPY, op.PUSH0, op.RETURN) + runtime
    unsigned = rlp.encode([0, 10**12, 250_000, b"", 0, creation])
    sender = Signature(vrs=(0, 0x539, s)).recover_public_key_from_msg(unsigned).to_canonical_address()
    assert keccak(rlp.encode([sender, 0]))[12:] == address


def read_history(runtime_end: bytes) -> bytes:
    """Code that does something only if EIP-2935's contract knows the parent, as BLOCKHASH does."""
    parent = assemble(push(1), op.NUMBER, op.SUB)
    ask = call(HISTORY_STORAGE_ADDRESS, op.STATICCALL, size=WORD, out=WORD)
    test = assemble(parent, op.PUSH0, op.MSTORE, ask, op.POP, parent, op.BLOCKHASH, op.PUSH0, op.MLOAD, op.EQ)
    target = len(test) + 5
    return test + assemble(push(target, 2), op.JUMPI, op.STOP, op.JUMPDEST) + runtime_end


def test_history__of_the_parent__is_seen_by_every_run_ahead_of_the_block(fork: Fork) -> None:
    give_7 = assemble(push(7), op.PUSH0, op.MSTORE, push(WORD), op.PUSH0, op.RETURN)
    message = {"to": fork.create(deployment(read_history(give_7))), "from": fork.user}
    seven, tracer = "0x" + (7).to_bytes(WORD, "big").hex(), {"tracer": "callTracer"}

    assert fork.chain.rpc("eth_call", [message, "pending"]) == seven
    assert fork.chain.rpc("debug_traceCall", [message, "pending", tracer])["output"] == seven
    sent = fork.w3.eth.send_transaction({**message, "gas": 100_000}).to_0x_hex()
    assert fork.chain.rpc("debug_traceTransaction", [sent, tracer])["output"] == seven
    assert fork.w3.eth.get_transaction_receipt(sent)["gasUsed"] == fork.w3.eth.estimate_gas(message)


def test_infer__asked_for_where_history_is_known__is_there_before_the_block(fork: Fork) -> None:
    operator = fork.add_operator()
    data = fork.infer_data()

    def ask(offset: int) -> bytes:
        load = assemble(push(len(data), 2), push(offset, 2), op.PUSH0, op.CODECOPY)
        return read_history(load + call(to_canonical_address(PRECOMPILE), size=len(data)) + bytes([op.STOP]))

    to = fork.create(deployment(ask(len(ask(0))) + data))
    fork.chain.set_automine(enabled=False)
    sent = fork.w3.eth.send_transaction({"to": to, "from": fork.user, "gas": 1_000_000}).to_0x_hex()
    fork.until(lambda: fork.why(sent)["status"] == "ready")

    assert len(operator.asked) == 1
    fork.chain.mine()
    assert len(fork.w3.eth.get_transaction_receipt(sent)["logs"]) == 1


def test_beacon_root__at_the_block_s_time__is_answered(fork: Fork) -> None:
    head = fork.w3.eth.get_block("latest")
    data = head["timestamp"].to_bytes(WORD, "big")
    root = fork.w3.eth.call({"to": to_checksum_address(BEACON_ROOTS_ADDRESS), "data": data})
    assert root == head["parentBeaconBlockRoot"]


def test_withdrawal_request__is_in_the_header_of_its_block__and_imported(fork: Fork) -> None:
    request = b"\x11" * 48 + (5).to_bytes(8, "big")
    queue = to_checksum_address(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS)
    plain = fork.chain.head.header.requests_hash
    sent = fork.w3.eth.send_transaction(
        {"from": fork.user, "to": queue, "data": request, "value": 1, "gas": 400_000}
    )
    receipt = fork.w3.eth.get_transaction_receipt(sent)

    assert receipt["status"] == 1
    assert bytes(receipt["logs"][0]["data"]) == to_canonical_address(fork.user) + request
    assert plain == EMPTY_REQUESTS != fork.chain.head.header.requests_hash
    node = FullNode(fork.config)
    for number in range(1, fork.chain.head.number + 1):
        node.import_block(*fork.sidecar(number))
    assert node.head.header.hash == fork.chain.head.header.hash


def test_queue__with_other_code__is_asked_though_its_counters_are_zero(fork: Fork) -> None:
    answer = assemble(push(7), op.PUSH0, op.MSTORE, push(WORD), op.PUSH0, op.RETURN)
    fork.chain.rpc("anvil_setCode", [to_checksum_address(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS), answer])
    fork.chain.mine()
    request = b"\x01" + (7).to_bytes(WORD, "big")
    assert fork.chain.head.header.requests_hash == sha256(sha256(request).digest()).digest()


def test_header__of_the_next_block__follows_as_py_evm_has_it(fork: Fork) -> None:
    fork.w3.eth.send_transaction({"from": fork.user, "to": fork.other, "value": 5})
    parent = fork.chain.head.header
    ours, stock = next_header(parent, parent.timestamp + 9, ZERO_ADDRESS), PragueVM.create_header_from_parent
    chosen = {name: getattr(ours, name) for name in ("timestamp", "gas_limit", "coinbase", "mix_hash")}
    assert ours == stock(parent, **chosen)
    assert ours.base_fee_per_gas < parent.base_fee_per_gas
    full = with_fields(parent, blob_gas_used=MAX_BLOB_GAS_PER_BLOCK, gas_used=parent.gas_limit)
    assert next_header(full, 9, ZERO_ADDRESS).excess_blob_gas == stock(full).excess_blob_gas > 0
    assert next_header(full, 9, ZERO_ADDRESS).base_fee_per_gas == stock(full).base_fee_per_gas


def stock_chain(fork: Fork) -> tuple[Chain, BlockHeaderAPI]:
    """A chain of stock py-evm with the same genesis, and its header."""
    state = {
        to_canonical_address(address): {
            "balance": each.balance, "nonce": each.nonce, "code": each.code, "storage": each.storage,
        }
        for address, each in allocation(fork.config).items()
    }  # fmt: skip
    genesis = fork.chain.history.block(0).header
    parameters = {
        name: getattr(genesis, name) for name in ("difficulty", "gas_limit", "timestamp", "base_fee_per_gas")
    }
    stock = Chain.configure("Stock", vm_configuration=((0, PragueVM),), chain_id=fork.config.chain_id)
    made = stock.from_genesis(AtomicDB(), {**parameters, "extra_data": b"", "nonce": bytes(8)}, state)
    return made, made.get_canonical_block_header_by_number(0)


def test_blocks__that_infer_nothing__are_stock_py_evm_s_blocks(fork: Fork) -> None:
    fork.w3.eth.send_transaction({"from": fork.user, "to": fork.other, "value": 5})
    fork.chain.set_automine(enabled=False)
    for queue, size in QUEUES.items():
        for _ in range(4):  # more than a block's target: its price is up for some blocks then
            request = {"from": fork.user, "to": queue, "data": b"\x11" * size, "value": 1, "gas": 400_000}
            fork.w3.eth.send_transaction(request)
    fork.chain.mine(6)
    stock, head = stock_chain(fork)
    assert head.hash == fork.chain.history.block(0).header.hash
    for number in range(1, fork.chain.head.number + 1):
        block = fork.chain.history.block(number).block
        imported = stock.get_vm(stock.create_header_from_parent(head)).import_block(block).block
        stock.chaindb.persist_block(imported)
        head = imported.header
        assert head.hash == block.hash
    assert sum(each.header.requests_hash != EMPTY_REQUESTS for each in fork.chain.history.blocks(0, 99)) == 2
    assert fork.chain.head.number > 3
