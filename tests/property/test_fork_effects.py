"""What the precompile writes lives and dies with the calls around it, in any tree of calls.

Nodes are called, statically called, run in their caller's place (delegatecall, callcode) or as creation code;
what asks the precompile does so by every kind of call, with ether or too little gas. `effects` is the model.
"""

from dataclasses import dataclass, replace
from enum import Enum

import pytest
from eth.vm import opcode_values as op
from eth_utils import to_canonical_address
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell_evm.receipts import ADDRESS
from foretell_spec.gas import required_gas
from foretell_spec.reasons import Reason, revert_data
from foretell_spec.tensor import WAD
from tests.kit.bytecode import assemble, push
from tests.kit.fork import Fork, address_of

FIRST = 0xCA11_0000
NUMBERS = 4
GAS = 20_000_000
_FORKS: list[Fork] = []


class Kind(Enum):
    """How something is called."""

    CALL = op.CALL
    STATIC = op.STATICCALL
    DELEGATE = op.DELEGATECALL
    CODE = op.CALLCODE
    CREATE = op.CREATE


@dataclass(frozen=True)
class Infer:
    """Ask for the sum of ``number`` and one; with 1 wei, or with too little gas."""

    number: int
    kind: Kind
    pays: bool = False
    starves: bool = False

    @property
    def is_served(self) -> bool:
        """Whether the precompile answers: it is itself, it takes no ether, it gets its gas."""
        return self.kind in (Kind.CALL, Kind.STATIC) and not self.pays and not self.starves


@dataclass(frozen=True)
class Node:
    """A program that does its actions in order, and reverts in the end or not."""

    actions: tuple["Infer | Node", ...]
    kind: Kind
    reverts: bool


infers = st.builds(
    Infer,
    st.integers(0, NUMBERS - 1),
    st.sampled_from([Kind.CALL, Kind.CALL, Kind.STATIC, Kind.DELEGATE, Kind.CODE]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([False, False, False, True]),
)
kinds = st.sampled_from(list(Kind))
leaves = st.builds(Node, st.lists(infers, max_size=3).map(tuple), kinds, st.booleans())
trees = st.recursive(
    leaves,
    lambda inner: st.builds(
        Node, st.lists(st.one_of(infers, inner), max_size=3).map(tuple), kinds, st.booleans()
    ),
    max_leaves=6,
)


def the_fork() -> Fork:
    if not _FORKS:
        _FORKS.append(Fork())
        _FORKS[0].add_operator()
        for number in range(NUMBERS):
            _FORKS[0].infer(inputs_of(number))
    return _FORKS[0]


def inputs_of(number: int) -> tuple[int, int]:
    return (number * WAD, WAD)


class Planter:
    """Makes the programs of a tree, and remembers those that have to be at addresses."""

    def __init__(self, fork: Fork) -> None:
        self._fork = fork
        self.codes: dict[str, bytes] = {}

    def plant(self, node: Node) -> str:
        """Put a node's program at an address."""
        address = address_of(FIRST + len(self.codes))
        self.codes[address] = b""
        self.codes[address] = self._program(node)
        return address

    def _program(self, node: Node) -> bytes:
        parts = [self._action(action) for action in node.actions]
        end = assemble(op.PUSH0, op.PUSH0, op.REVERT if node.reverts else op.RETURN)
        size = sum(len(code) for code, _ in parts) + len(parts) * _COPY_SIZE + len(end)
        body, data = b"", b""
        for code, carried in parts:
            body += assemble(push(len(carried), 2), push(size + len(data), 2), op.PUSH0, op.CODECOPY) + code
            data += carried
        return body + end + data

    def _action(self, action: Infer | Node) -> tuple[bytes, bytes]:
        """Code that runs with the second thing in memory from 0 on."""
        if isinstance(action, Infer):
            data = self._fork.infer_data(inputs_of(action.number))
            gas = required_gas(data, is_static=True) - 1 if action.starves else None
            return _call(ADDRESS, action.kind, len(data), int(action.pays), gas), data
        if action.kind is Kind.CREATE:
            creation = self._program(action)
            return assemble(push(len(creation), 2), op.PUSH0, op.PUSH0, op.CREATE, op.POP), creation
        return _call(to_canonical_address(self.plant(action)), action.kind, 0, 0, None), b""


_COPY_SIZE = 3 + 3 + 1 + 1


def _call(to: bytes, kind: Kind, size: int, value: int, gas: int | None) -> bytes:
    with_value = [push(value)] if kind in (Kind.CALL, Kind.CODE) else []
    given = bytes([op.GAS]) if gas is None else push(gas)
    head = assemble(op.PUSH0, op.PUSH0, push(size, 2), op.PUSH0, *with_value, push(to), given)
    return head + assemble(kind.value, op.POP)


def playable(node: Node, static: bool = False) -> Node:
    """The tree without what ends a frame that may not write, and burns its gas: ether and creations."""
    kind = Kind.CALL if static and node.kind is Kind.CREATE else node.kind
    static = static or kind is Kind.STATIC
    actions = tuple(
        playable(action, static)
        if isinstance(action, Node)
        else replace(action, pays=action.pays and not static)
        for action in node.actions
    )
    return Node(actions, kind, node.reverts)


def effects(node: Node, static: bool = False) -> list[int]:
    """Numbers whose inference is written, in order: the model."""
    found: list[int] = []
    static = static or node.kind is Kind.STATIC
    for action in node.actions:
        if isinstance(action, Node):
            found += effects(action, static)
        elif action.is_served and action.kind is Kind.CALL and not static:
            found.append(action.number)
    return [] if node.reverts else found


@pytest.mark.slow
@settings(max_examples=60)
@given(trees.map(lambda tree: playable(replace(tree, kind=Kind.CALL))))
def test_infer__in_any_call_tree__effects_are_those_of_the_model(tree: Node) -> None:
    fork = the_fork()
    chain = fork.chain
    snapshot = chain.snapshot()
    planter = Planter(fork)
    root = planter.plant(tree)

    def write(state) -> None:
        for address, code in planter.codes.items():
            state.set_code(to_canonical_address(address), code)
            state.set_balance(to_canonical_address(address), 10)

    chain.set_state(write)
    sent = fork.w3.eth.send_transaction({"from": fork.user, "to": root, "gas": GAS})
    receipt = fork.w3.eth.get_transaction_receipt(sent)
    expected = effects(tree)

    assert receipt["status"] == (0 if tree.reverts else 1)
    ids = {number: fork.infer(inputs_of(number))[1] for number in range(NUMBERS)}
    assert [bytes(log["topics"][1]) for log in receipt["logs"]] == [ids[number] for number in expected]
    for number, receipt_id in ids.items():
        stored = chain.rpc("foretell_receipt", ["0x" + receipt_id.hex()])
        assert (stored is not None) == (number in expected)
    assert chain.state().get_balance(ADDRESS) == 0
    chain.revert(snapshot)


@pytest.mark.parametrize("kind", [Kind.DELEGATE, Kind.CODE])
def test_infer__in_place_of_the_caller__says_that_it_is_refused(kind: Kind) -> None:
    fork = the_fork()
    data = fork.infer_data(inputs_of(0))
    give_back = assemble(
        op.RETURNDATASIZE, op.PUSH0, op.PUSH0, op.RETURNDATACOPY, op.RETURNDATASIZE, op.PUSH0, op.RETURN
    )
    code = assemble(op.CALLDATASIZE, op.PUSH0, op.PUSH0, op.CALLDATACOPY) + _call(
        ADDRESS, kind, len(data), 0, None
    )
    overrides = {address_of(FIRST): {"code": "0x" + (code + give_back).hex()}}
    answer = fork.chain.rpc(
        "eth_call", [{"to": address_of(FIRST), "data": "0x" + data.hex()}, "latest", overrides]
    )
    assert bytes.fromhex(answer[2:]) == revert_data(Reason.DELEGATED_CALL)
