"""Whatever does not touch our addresses runs as in stock py-evm: same state root, gas, output and logs."""

from eth.db.atomic import AtomicDB
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from foretell_evm.vm import ForetellVM

KEY = PrivateKey(keccak(text="sender"))
TARGET = b"\x77" * 20

# Small programs are likelier to do something when their opcodes are common ones.
_COMMON = bytes.fromhex(
    "01020304101520303133343536373b3f424446474850515254555a5b5c5d5e5f808190a0a1f0f1f2f3f4fafd"
)
pushes = st.integers(0, 255).map(lambda value: bytes([0x60, value]))
programs = st.lists(st.one_of(st.sampled_from(_COMMON).map(lambda op: bytes([op])), pushes), max_size=60).map(
    b"".join
)


def run(vm_class, code: bytes, data: bytes, value: int, precompile: int):
    header = vm_class.create_genesis_header(
        difficulty=0, gas_limit=10_000_000, base_fee_per_gas=7, timestamp=9, coinbase=b"\5" * 20
    )
    context = vm_class.create_execution_context(header, (), ChainContext(1))
    state = vm_class.get_state_class()(AtomicDB(), context, header.state_root)
    sender = KEY.public_key.to_canonical_address()
    state.set_balance(sender, 10**20)
    state.set_code(TARGET, code)
    to = precompile.to_bytes(20, "big") if precompile else TARGET
    builder = vm_class.get_transaction_builder()
    unsigned = builder.new_unsigned_dynamic_fee_transaction(
        chain_id=1, nonce=0, max_priority_fee_per_gas=2, max_fee_per_gas=20, gas=400_000, to=to, value=value,
        data=data, access_list=(),
    )  # fmt: skip
    transaction = builder.decode(unsigned.as_signed_transaction(KEY).encode())
    state.lock_changes()
    computation = state.apply_transaction(transaction)
    return (
        state.make_state_root(),
        computation.is_success,
        computation.get_gas_remaining(),
        computation.output,
        computation.get_log_entries(),
    )


@given(programs, st.binary(max_size=200), st.integers(0, 5))
def test_transaction__any_program__equals_stock(code: bytes, data: bytes, value: int) -> None:
    assert run(ForetellVM, code, data, value, 0) == run(PragueVM, code, data, value, 0)


@given(st.sampled_from([1, 2, 3, 4, 6, 7, 8, 9]), st.binary(max_size=213))
def test_transaction__to_a_precompile__equals_stock(number: int, data: bytes) -> None:
    assert run(ForetellVM, b"", data, 0, number) == run(PragueVM, b"", data, 0, number)


OTHER = b"\x78" * 20


def run_block(vm_class, codes: dict[bytes, bytes], calls: list[tuple[bytes, bytes, int]]):
    """Roots after each block of one transaction or two, each on a state of its own, as a chain makes them."""
    header = vm_class.create_genesis_header(
        difficulty=0, gas_limit=10_000_000, base_fee_per_gas=7, timestamp=9, coinbase=b"\5" * 20
    )
    context = vm_class.create_execution_context(header, (), ChainContext(1))
    database, root = AtomicDB(), header.state_root
    sender = KEY.public_key.to_canonical_address()
    builder = vm_class.get_transaction_builder()
    told = []
    state = vm_class.get_state_class()(database, context, root)
    state.set_balance(sender, 10**20)
    for address, code in codes.items():
        state.set_code(address, code)
        state.set_storage(address, 0, 7)
        state.set_storage(address, 1, 2**255)
    for nonce, (to, data, value) in enumerate(calls):
        if nonce % 2 == 0:
            state.persist()
            state = vm_class.get_state_class()(database, context, state.state_root)
            told.append(state.state_root)
        unsigned = builder.new_unsigned_dynamic_fee_transaction(
            chain_id=1, nonce=nonce, max_priority_fee_per_gas=2, max_fee_per_gas=20, gas=400_000, to=to,
            value=value, data=data, access_list=(),
        )  # fmt: skip
        state.lock_changes()
        computation = state.apply_transaction(unsigned.as_signed_transaction(KEY))
        told.append((computation.is_success, computation.get_gas_remaining(), computation.get_log_entries()))
    state.persist()
    last = vm_class.get_state_class()(database, context, state.state_root)
    read = [
        (
            last.get_balance(address),
            last.get_nonce(address),
            last.get_code(address),
            last.get_storage(address, 1),
        )
        for address in (sender, TARGET, OTHER, b"\5" * 20, b"\x99" * 20)
    ]
    return told, last.state_root, read


# What a program stores must meet what another one reads, clears or destroys.
_stores = st.integers(0, 9).flatmap(
    lambda slot: st.integers(0, 2).map(lambda value: bytes([0x60, value, 0x60, slot, 0x55]))
)
storing = st.lists(
    st.one_of(_stores, st.sampled_from([b"\x60\x99\xff", b"\x5f\x5f\xfd", b"\x00"])),
    max_size=8,
).map(b"".join)
targets = st.sampled_from([TARGET, OTHER, b"\x99" * 20, b""])


@given(
    st.one_of(programs, storing),
    storing,
    st.lists(st.tuples(targets, st.one_of(st.binary(max_size=40), storing), st.integers(0, 3)), max_size=6),
)
def test_blocks__any_transactions__equal_stock(
    code: bytes, other: bytes, calls: list[tuple[bytes, bytes, int]]
) -> None:
    codes = {TARGET: code, OTHER: other}
    assert run_block(ForetellVM, codes, calls) == run_block(PragueVM, codes, calls)
