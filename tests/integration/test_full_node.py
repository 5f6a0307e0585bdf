"""A full node imports what the builder made, and nothing that was changed."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from foretell_evm.config import ChainConfig, Mining
from foretell_evm.errors import BlockRejected, ConfigError, EvidenceError
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.full_node import FullNode
from foretell_evm.vm import ForetellVM
from foretell_spec.addresses import PRECOMPILE, ZERO_ADDRESS
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.request import precompile_request_id
from foretell_spec.sidecar import Answer, Dissent, Sidecar
from foretell_spec.tensor import WAD, tensor_hash
from tests.kit.fork import GENESIS_TIME, Fork, operator_key

Sealed = tuple[bytes, Sidecar, bytes]
Answers = tuple[Answer, ...]


class Story:
    """Blocks up to one with two bundles, one of them proven; and one transaction that uses none."""

    def __init__(self) -> None:
        self.fork = Fork(ChainConfig(genesis_time=GENESIS_TIME, mining=Mining.MANUAL))
        self.fork.add_operator("alice")
        self.fork.chain.remove_operator(self.fork.add_operator("bob").address)  # bonded, but never asked
        chain = self.fork.chain
        sent = [
            self.fork.send_ask((WAD, WAD), 1, sender=self.fork.user),
            self.fork.send_ask((WAD, 2 * WAD), 4, sender=self.fork.other),
        ]
        transfer = {"from": self.fork.deployer, "to": self.fork.user, "value": 5}
        self.fork.w3.eth.send_transaction(transfer)
        self.fork.until(lambda: all(self.fork.why(each)["status"] == "ready" for each in sent))
        chain.mine()
        self.before = [self.fork.sidecar(number) for number in range(1, chain.head.number)]
        self.last: Sealed = self.fork.sidecar(chain.head.number)
        self.fork.close()

    def node(self) -> FullNode:
        """A node that has everything but the last block."""
        node = FullNode(self.fork.config)
        for sealed in self.before:
            node.import_block(*sealed)
        return node


_STORIES: list[Story] = []


def story() -> Story:
    """The one story of this module: reading it changes nothing."""
    if not _STORIES:
        _STORIES.append(Story())
    return _STORIES[0]


@pytest.fixture(scope="module")
def node() -> FullNode:
    """Before the last block. A rejected block leaves it as it is, so all tests of rejection share it."""
    return story().node()


def decoded(block: bytes) -> Any:
    return rlp.decode(block, sedes=ForetellVM.get_block_class())


def resealed(block: Any, sidecar: Sidecar) -> bytes:
    """A block whose header commits to another sidecar."""
    return rlp.encode(block.copy(header=block.header.copy(extra_data=sidecar.root)))


def rejected(node: FullNode, block: bytes, sidecar: Sidecar, block_hash: bytes | None = None) -> str:
    head = node.head.block.hash
    with pytest.raises(BlockRejected) as caught:
        node.import_block(block, sidecar, block_hash)
    assert node.head.block.hash == head
    return caught.value.rule


def test_import__builders_blocks__same_state() -> None:
    block, sidecar, block_hash = story().last
    fresh = story().node()

    header = fresh.import_block(block, sidecar, block_hash).header

    assert len(sidecar.answers) == 2
    assert len(decoded(block).transactions) == 3
    assert header.hash == block_hash
    assert header.extra_data == sidecar.root


def test_import__again_after_rejections__still_accepts() -> None:
    block, sidecar, block_hash = story().last
    fresh = story().node()
    rejected(fresh, block, Sidecar())
    swapped = Sidecar(sidecar.answers[::-1])
    rejected(fresh, resealed(decoded(block), swapped), swapped)
    assert fresh.import_block(block, sidecar, block_hash).header.hash == block_hash


@pytest.mark.parametrize(
    "change",
    [
        lambda answers: (),
        lambda answers: answers[:1],
        lambda answers: answers[1:],
        lambda answers: answers[::-1],
        lambda answers: (*answers, answers[0]),
        lambda answers: (answers[0], answers[0], answers[1]),
    ],
)
def test_import__other_sidecar__root_differs(node: FullNode, change: Callable[..., Answers]) -> None:
    block, sidecar, _ = story().last
    assert rejected(node, block, Sidecar(change(sidecar.answers))) == "sidecar root"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda answers: (), "sidecar order"),
        (lambda answers: answers[:1], "sidecar order"),
        (lambda answers: answers[1:], "sidecar order"),
        (lambda answers: answers[::-1], "sidecar order"),
        (lambda answers: (*answers, answers[0]), "sidecar use"),
        (lambda answers: (answers[0], answers[0], answers[1]), "sidecar order"),
        (lambda answers: answers * 40, "sidecar size"),
    ],
)
def test_import__other_sidecar_with_its_root__rejected(
    node: FullNode, change: Callable[..., Answers], rule: str
) -> None:
    block, sidecar, _ = story().last
    changed = Sidecar(change(sidecar.answers))
    assert rejected(node, resealed(decoded(block), changed), changed) == rule


def _flip(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


@pytest.mark.parametrize(
    "change",
    [
        lambda bundle: replace(bundle, request_id=_flip(bundle.request_id)),
        lambda bundle: replace(bundle, model_id=_flip(bundle.model_id)),
        lambda bundle: replace(bundle, inputs=(bundle.inputs[0] + 1, bundle.inputs[1])),
        lambda bundle: replace(bundle, outputs=(bundle.outputs[0] + 1,)),
        lambda bundle: replace(bundle, outputs=(*bundle.outputs, 0)),
        lambda bundle: replace(bundle, operator="0x" + "11" * 20),
        lambda bundle: replace(bundle, seed=b"\1" * 32),
        lambda bundle: replace(bundle, signature=_flip(bundle.signature)),
        lambda bundle: replace(bundle, signature=b""),
        lambda bundle: replace(bundle, proof=_flip(bundle.proof) if bundle.proof else b"no proof"),
        lambda bundle: bundle.signed(operator_key("mallory"), 31337, "0x" + "11" * 20),
        lambda bundle: replace(bundle, outputs=(1,)).signed(operator_key("mallory"), 31337, bundle.operator),
    ],
)
@pytest.mark.parametrize("index", [0, 1])
def test_import__altered_bundle_with_its_root__evidence_does_not_hold(
    node: FullNode, change: Callable[[Bundle], Bundle], index: int
) -> None:
    block, sidecar, _ = story().last
    answers = list(sidecar.answers)
    answers[index] = Answer.of(change(answers[index].lead))
    changed = Sidecar(tuple(answers))
    assert rejected(node, resealed(decoded(block), changed), changed) == "evidence"


def test_import__proof_dropped__too_weak_for_the_call(node: FullNode) -> None:
    block, sidecar, _ = story().last
    first, second = sidecar.answers
    weak = Sidecar((first, Answer.of(replace(second.lead, proof=b""))))
    assert rejected(node, resealed(decoded(block), weak), weak) == "sidecar order"


def said(bundle: Bundle, outputs: tuple[int, ...], name: str = "bob") -> Bundle:
    """What the operator ``name`` says about a bundle's request."""
    key = operator_key(name)
    other = replace(bundle, outputs=outputs, operator=key.public_key.to_checksum_address(), proof=b"")
    return other.signed(key, 31337, PRECOMPILE)


@pytest.mark.parametrize(
    ("name", "outputs"), [("bob", (1,)), ("alice", (1,))], ids=["another operator", "the same operator"]
)
def test_import__dissent_of_bonded_operators__accepted(name: str, outputs: tuple[int, ...]) -> None:
    block, sidecar, _ = story().last
    lead = sidecar.answers[0].lead
    told = Sidecar(sidecar.answers, (Dissent(lead, said(lead, outputs, name)),))
    header = story().node().import_block(resealed(decoded(block), told), told).header
    assert header.extra_data == told.root != sidecar.root


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda lead: [Dissent(lead, said(lead, (1,), "mallory"))], "dissent"),  # not bonded
        (lambda lead: [Dissent(lead, replace(said(lead, (1,)), outputs=(2,)))], "dissent"),
        (lambda lead: [Dissent(lead, said(lead, (1,))), Dissent(said(lead, (1,)), lead)], "dissent"),
        (lambda lead: [Dissent(lead, said(lead, (n,))) for n in range(65)], "sidecar size"),
    ],
)
def test_import__dissent_that_does_not_hold__rejected(
    node: FullNode, change: Callable[..., list[Dissent]], rule: str
) -> None:
    block, sidecar, _ = story().last
    told = Sidecar(sidecar.answers, tuple(change(sidecar.answers[0].lead)))
    assert rejected(node, resealed(decoded(block), told), told) == rule


def test_import__dissent_about_another_blocks_request__rejected() -> None:
    block, sidecar, _ = story().last
    lead = sidecar.answers[0].lead
    inputs = (7, 7)
    request_id = precompile_request_id(31337, lead.model_id, tensor_hash(inputs))
    asked = replace(lead, request_id=request_id, inputs=inputs)
    told = Sidecar(sidecar.answers, (Dissent(said(asked, (1,)), said(asked, (2,))),))
    assert rejected(story().node(), resealed(decoded(block), told), told) == "dissent"


@pytest.mark.parametrize(
    ("make", "holds"),
    [
        (lambda lead: Answer(lead.outputs, (lead, said(lead, lead.outputs))), True),
        (lambda lead: Answer(lead.outputs, (lead, said(lead, (1,)))), False),
        (lambda lead: Answer((1,), (lead, said(lead, lead.outputs))), False),
        (lambda lead: Answer((1,), (lead,)), False),
        (lambda lead: Answer(lead.outputs, (lead, lead)), False),
        (lambda lead: Answer(lead.outputs, (lead, said(lead, lead.outputs, "mallory"))), False),
        (lambda lead: Answer(lead.outputs, (lead, *[said(lead, lead.outputs)] * 3)), False),
    ],
)
def test_check_answer__quorum__agreed_or_refused(make: Callable[[Bundle], Answer], *, holds: bool) -> None:
    lead = story().last[1].answers[0].lead
    checker = EvidenceChecker(31337, story().fork.config.quorum)
    state = story().fork.chain.state()
    if holds:
        assert checker.check_answer(make(lead), state) is Assurance.AGREED
    else:
        with pytest.raises(EvidenceError):
            checker.check_answer(make(lead), state)


HEADER_FIELDS = list(ForetellVM.get_block_class()._meta.fields[0][1]._meta.field_names)


@pytest.mark.parametrize("name", [name for name in HEADER_FIELDS if name != "timestamp"])
def test_import__changed_header_field__rejected(node: FullNode, name: str) -> None:
    encoded, sidecar, _ = story().last
    block = decoded(encoded)
    value = getattr(block.header, name)
    other = _flip(value) if isinstance(value, bytes) else value + 1
    assert rejected(node, rlp.encode(block.copy(header=block.header.copy(**{name: other}))), sidecar)


@pytest.mark.parametrize("shift", [-(10**6), 1])
def test_import__changed_time__rejected(node: FullNode, shift: int) -> None:
    encoded, sidecar, block_hash = story().last
    block = decoded(encoded)
    changed = rlp.encode(block.copy(header=block.header.copy(timestamp=block.header.timestamp + shift)))
    assert rejected(node, changed, sidecar, block_hash) == "block hash"


@pytest.mark.parametrize(
    "change", [lambda txs: txs[1:], lambda txs: txs[::-1], lambda txs: (*txs, txs[0]), lambda txs: ()]
)
def test_import__other_transactions__rejected(node: FullNode, change: Callable[..., Any]) -> None:
    encoded, sidecar, _ = story().last
    block = decoded(encoded)
    assert rejected(node, rlp.encode(block.copy(transactions=change(block.transactions))), sidecar)


# Their hashes are in the header; that the header is right does not say that the bytes beside it are.
@pytest.mark.parametrize(
    ("index", "stowaway", "rule"),
    [
        (2, lambda parts: parts[0], "encoding"),
        (3, lambda _: [b"\1", b"\2", b"\3" * 20, b"\4"], "withdrawals"),
    ],
    ids=["uncle", "withdrawal"],
)
def test_import__what_no_block_has_here__rejected(
    node: FullNode, index: int, stowaway: Callable[[Any], Any], rule: str
) -> None:
    encoded, sidecar, block_hash = story().last
    parts = rlp.decode(encoded)
    assert parts[index] == []
    parts[index] = [stowaway(parts)]
    assert rejected(node, rlp.encode(parts), sidecar, block_hash) == rule


def test_import__builders_block__kept_as_it_came(tmp_path: Path) -> None:
    encoded, sidecar, block_hash = story().last
    with FullNode(story().fork.config, tmp_path) as node:
        for sealed in (*story().before, (encoded, sidecar, block_hash)):
            node.import_block(*sealed)
        assert rlp.encode(node.head.block) == encoded
    with FullNode(story().fork.config, tmp_path) as node:
        assert rlp.encode(node.head.block.copy()) == encoded
        assert node.head.block.hash == block_hash


def test_import__more_gas_than_a_block_has__rejected(node: FullNode) -> None:
    encoded, sidecar, _ = story().last
    block = decoded(encoded)
    fields = {"to": ZERO_ADDRESS, "value": 0, "nonce": 0, "chainId": 31337, "gas": block.header.gas_limit}
    fees = {"maxFeePerGas": block.header.base_fee_per_gas, "maxPriorityFeePerGas": 0}
    account = Account.from_key(story().fork.chain.accounts[5].key.to_bytes())
    greedy = account.sign_transaction({**fields, **fees}).raw_transaction
    parts = rlp.decode(encoded)
    parts[1].append(greedy)
    with pytest.raises(BlockRejected, match="transaction 3 does not fit: the block is full"):
        node.import_block(rlp.encode(parts), sidecar)


def test_import__signatures_of_nobody__rejected(node: FullNode) -> None:
    encoded, sidecar, _ = story().last
    # Half of all numbers are no coordinate of a point: nothing recovers, and py-evm raises its own error.
    r = decoded(encoded).transactions[0].r.to_bytes(32, "big")
    assert encoded.count(r) == 1
    for flip in range(1, 17):
        rejected(node, encoded.replace(r, r[:-1] + bytes([r[-1] ^ flip])), sidecar)


def test_import__transaction_of_an_unknown_type__rejected() -> None:
    encoded, sidecar, _ = story().last
    dynamic_fee, unknown = b"\x02\xf9", b"\x38\xf9"
    assert dynamic_fee in encoded
    assert rejected(_shared_node(), encoded.replace(dynamic_fee, unknown, 1), sidecar) == "encoding"


@given(st.data())
def test_import__any_changed_byte__rejected(data: st.DataObject) -> None:
    encoded, sidecar, block_hash = story().last
    position = data.draw(st.integers(0, len(encoded) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = encoded[:position] + bytes([encoded[position] ^ flip]) + encoded[position + 1 :]
    rejected(_shared_node(), changed, sidecar, block_hash)


_NODES: list[FullNode] = []


def _shared_node() -> FullNode:
    if not _NODES:
        _NODES.append(story().node())
    return _NODES[0]


def test_import__garbage__rejected(node: FullNode) -> None:
    assert rejected(node, b"\1\2\3", Sidecar()) == "encoding"


def test_node__without_genesis_time__refused() -> None:
    with pytest.raises(ConfigError, match="genesis time"):
        FullNode(ChainConfig())


def test_node__without_model_runtimes__imports(tmp_path: Any) -> None:
    """In a process in which importing a prover or a model runtime fails."""
    import json

    blocks = [*story().before, story().last]
    file = tmp_path / "blocks.json"
    file.write_text(json.dumps([[block.hex(), sidecar.to_json()] for block, sidecar, _ in blocks]))
    program = """
import json, sys
for name in ("ezkl", "onnx", "onnxruntime", "torch", "numpy", "foretell_relayer"):
    sys.modules[name] = None
from foretell_evm.config import ChainConfig
from foretell_evm.full_node import FullNode
from foretell_spec.sidecar import Sidecar
node = FullNode(ChainConfig(genesis_time=int(sys.argv[2])))
for block, sidecar in json.load(open(sys.argv[1])):
    header = node.import_block(bytes.fromhex(block), Sidecar.from_json(sidecar)).header
print(header.hash.hex())
"""
    arguments = [sys.executable, "-c", program, str(file), str(GENESIS_TIME)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == story().last[2].hex(), done.stderr
