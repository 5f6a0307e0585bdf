"""What the precompile writes lives and dies with the calls around it, in any tree of calls."""

from dataclasses import dataclass

from eth_utils import to_canonical_address
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell_evm.receipts import ADDRESS
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.tensor import WAD
from tests.kit.fork import Fork, address_of

FIRST = 0xCA11_0000
NUMBERS = 4
_FORKS: list[Fork] = []


@dataclass(frozen=True)
class Infer:
    """Ask for the sum of ``number`` and one."""

    number: int
    static: bool


@dataclass(frozen=True)
class Node:
    """A contract that does its actions in order, and reverts in the end or not."""

    actions: tuple["Infer | Node", ...]
    static: bool
    reverts: bool


infers = st.builds(Infer, st.integers(0, NUMBERS - 1), st.booleans())
leaves = st.builds(Node, st.lists(infers, max_size=3).map(tuple), st.booleans(), st.booleans())
trees = st.recursive(
    leaves,
    lambda inner: st.builds(
        Node, st.lists(st.one_of(infers, inner), max_size=3).map(tuple), st.booleans(), st.booleans()
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


def push(value: int, size: int) -> bytes:
    return bytes([0x5F + size]) + value.to_bytes(size, "big")


def code_of(calls: list[tuple[str, bytes, bool]], reverts: bool) -> bytes:
    """Runtime code that makes the calls, whatever becomes of each."""
    end = b"\x5f\x5f" + (b"\xfd" if reverts else b"\xf3")
    body, data = b"", b""
    total = sum(_call_size(static) for _, _, static in calls) + len(end)
    for to, payload, static in calls:
        body += push(len(payload), 2) + push(total + len(data), 2) + b"\x5f\x39"
        body += b"\x5f\x5f" + push(len(payload), 2) + b"\x5f" + (b"" if static else b"\x5f")
        body += b"\x73" + to_canonical_address(to) + b"\x5a" + (b"\xfa" if static else b"\xf1") + b"\x50"
        data += payload
    return body + end + data


def _call_size(static: bool) -> int:
    return 3 + 3 + 2 + 2 + 3 + 1 + (0 if static else 1) + 21 + 1 + 1 + 1


def plant(fork: Fork, node: Node, codes: dict[str, bytes]) -> str:
    """Put the tree's codes at addresses; the root's address."""
    calls = []
    for action in node.actions:
        if isinstance(action, Infer):
            calls.append((PRECOMPILE, fork.infer_data(inputs_of(action.number)), action.static))
        else:
            calls.append((plant(fork, action, codes), b"", action.static))
    address = address_of(FIRST + len(codes))
    codes[address] = code_of(calls, node.reverts)
    return address


def effects(node: Node, static: bool = False) -> list[int]:
    """Numbers whose inference is written, in order: the model."""
    found: list[int] = []
    for action in node.actions:
        if isinstance(action, Infer):
            found += [] if static or action.static else [action.number]
        else:
            found += effects(action, static or action.static)
    return [] if node.reverts else found


@settings(max_examples=40)
@given(trees)
def test_infer__in_any_call_tree__effects_are_those_of_the_model(tree: Node) -> None:
    fork = the_fork()
    chain = fork.chain
    snapshot = chain.snapshot()
    codes: dict[str, bytes] = {}
    root = plant(fork, tree, codes)

    def write(state) -> None:
        for address, code in codes.items():
            state.set_code(to_canonical_address(address), code)

    chain.set_state(write)
    sent = fork.w3.eth.send_transaction({"from": fork.user, "to": root, "gas": 20_000_000})
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
