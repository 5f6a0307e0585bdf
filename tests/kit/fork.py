"""A fork with one model and scripted operators: what the tests of the fork start from.

The model's circuit adds its two inputs up (``mocks/SumVerifier.vy`` checks that soundly);
operators follow a script.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_abi import decode, encode
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak, to_checksum_address
from web3 import Web3

from foretell_contracts import load
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig, Mining
from foretell_evm.rpc.provider import ForetellProvider
from foretell_spec.abi import InferCall, encode_infer
from foretell_spec.addresses import (
    MODEL_REGISTRY,
    OPERATOR_REGISTRY,
    PRECOMPILE,
    SETTLEMENT,
    ZERO_ADDRESS,
)
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.commitment import Reveal, seal
from foretell_spec.divergence import DeterminismClass
from foretell_spec.manifest import Manifest
from foretell_spec.operator import InferenceJob, Sealed
from foretell_spec.request import precompile_request_id
from foretell_spec.sidecar import Sidecar
from foretell_spec.tensor import WAD, quantise, tensor_hash
from tests.kit.compiled import compiled
from tests.kit.manifest import SCALE, adding_manifest, without_circuit

ETHER = 10**18
PROOF = b"valid proof"
INPUTS = (3 * WAD, -WAD // 2)
GENESIS_TIME = 1_700_000_000
GAS = 3_000_000


def add_up(job: InferenceJob) -> tuple[int, ...]:
    """The one correct output."""
    return (sum(job.inputs),)


@dataclass
class ScriptedOperator:
    """An operator that does what a test wants: ``answers`` gives outputs or raises, ``delay`` in seconds."""

    key: PrivateKey
    answers: Callable[[InferenceJob], tuple[int, ...]] = add_up
    delay: float = 0.0
    proof: bytes = PROOF
    change: Callable[[Bundle], Bundle] = lambda bundle: bundle
    reveals: Callable[[Reveal], Reveal] = lambda reveal: reveal
    gate: threading.Event | None = None
    asked: list[InferenceJob] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The bonded account, whose key signs too."""
        return self.key.public_key.to_checksum_address()

    def answer(self, job: InferenceJob) -> Bundle:
        """Sign what the script says."""
        self.asked.append(job)
        if self.gate is not None:
            self.gate.wait(30)
        if self.delay:
            time.sleep(self.delay)
        proof = self.proof if job.min_assurance is Assurance.PROVEN else b""
        bundle = Bundle(
            job.request_id, job.model_id, job.inputs, self.answers(job), self.address, job.seed, proof=proof
        )
        return self.change(bundle.signed(self.key, job.chain_id, job.verifying_contract))

    def commit(self, job: InferenceJob) -> Sealed:
        """Commit to what ``answer`` says; ``reveals`` changes what is shown in the end."""
        bundle = self.answer(job)
        salt = keccak(text=f"salt of {self.address}")
        commitment, reveal = seal(bundle, salt, self.key, job.chain_id, job.verifying_contract)
        return Sealed(commitment, lambda: self.reveals(reveal))


def operator_key(name: str) -> PrivateKey:
    """A key that follows from a name."""
    return PrivateKey(keccak(text=f"operator {name}"))


class Fork:
    """A chain, a web3 over it, the registered model and an ``Ask`` contract."""

    def __init__(self, config: ChainConfig | None = None, folder: Path | None = None) -> None:
        self.config = config or ChainConfig(genesis_time=GENESIS_TIME)
        mining = self.config.mining
        # Set up with automining, whatever the test wants afterwards.
        self.chain = ForetellChain.create(replace(self.config, mining=Mining.AUTO), folder=folder)
        self.w3 = Web3(ForetellProvider(self.chain))
        self.deployer, self.user, self.other = self.w3.eth.accounts[:3]
        self.models = self.w3.eth.contract(MODEL_REGISTRY, abi=load("ModelRegistry").abi)
        self.operators = self.w3.eth.contract(OPERATOR_REGISTRY, abi=load("OperatorRegistry").abi)
        self.verifier = self.deploy_code(compiled("mocks/SumVerifier.vy"))
        self.manifest = self.make_manifest()
        self.register(self.manifest)
        self.ask = self.deploy_ask()
        if mining is not Mining.AUTO:
            self.chain.set_automine(enabled=False)

    def close(self) -> None:
        """Stop the chain."""
        self.chain.close()

    @property
    def model_id(self) -> bytes:
        """The model's id."""
        return self.manifest.model_id

    def make_manifest(self, **overrides: Any) -> Manifest:
        """A manifest of the adding model."""
        code_hash = keccak(self.w3.eth.get_code(self.verifier))
        return adding_manifest(**{"publisher": self.deployer, "verifier_code_hash": code_hash, **overrides})

    def register(self, manifest: Manifest) -> bytes:
        """Register a model."""
        circuit = manifest.determinism is DeterminismClass.CIRCUIT
        verifier = self.verifier if circuit else ZERO_ADDRESS
        self.transact(self.models.functions.register(manifest.words(), verifier))
        return manifest.model_id

    def use_class(self, determinism: DeterminismClass, **overrides: Any) -> Manifest:
        """Register a model of another class, and ask about it from now on."""
        self.manifest = self.make_manifest(**without_circuit(determinism), **overrides)
        self.register(self.manifest)
        return self.manifest

    def deploy_code(self, artifact: dict[str, Any]) -> str:
        """Deploy a compiled contract without constructor arguments."""
        return self.create(bytes.fromhex(artifact["bytecode"][2:]))

    def create(self, code: bytes) -> str:
        """Run creation code."""
        sent = self.w3.eth.send_transaction({"from": self.deployer, "data": code, "gas": GAS})
        return str(self.w3.eth.get_transaction_receipt(sent)["contractAddress"])

    def deploy_ask(self) -> Any:
        """Deploy the neutral consumer."""
        artifact = load("Ask")
        address = self.create(artifact.bytecode + encode(["address"], [SETTLEMENT]))
        return self.w3.eth.contract(address, abi=artifact.abi)

    def add_operator(self, name: str = "alice", *, bond: int = 10 * ETHER, **script: Any) -> ScriptedOperator:
        """Fund, bond and attach a scripted operator."""
        operator = ScriptedOperator(operator_key(name), **script)
        automine = self.chain.mining is Mining.AUTO
        self.chain.set_automine(enabled=True)
        self.w3.eth.send_transaction({"from": self.deployer, "to": operator.address, "value": bond + ETHER})
        if bond:
            register = self.operators.functions.register(operator.address, 2**255)
            built = register.build_transaction(
                {"from": operator.address, "value": bond, "gas": 500_000, "nonce": 0}
            )
            signed = self.w3.eth.account.sign_transaction(built, operator.key.to_bytes())
            self.w3.eth.send_raw_transaction(signed.raw_transaction)
        self.chain.add_operator(operator)
        self.chain.set_automine(automine)
        return operator

    def transact(self, call: Any, sender: str | None = None, **fields: Any) -> Any:
        """Send a contract call and return its receipt."""
        sent = call.transact({"from": sender or self.deployer, "gas": GAS, **fields})
        return self.w3.eth.get_transaction_receipt(sent)

    def send_ask(
        self, inputs: tuple[int, ...] = INPUTS, assurance: int = 1, sender: str | None = None, **fields: Any
    ) -> str:
        """Send ``Ask.ask`` and return the transaction's hash, wherever it is now."""
        call = self.ask.functions.ask(self.model_id, list(inputs), assurance)
        return "0x" + bytes(call.transact({"from": sender or self.user, "gas": GAS, **fields})).hex()

    def settle(self, transaction_hash: str, seconds: float = 20) -> Any:
        """Wait until a transaction is in a block and return its receipt."""
        self.chain.wait_for(bytes.fromhex(transaction_hash[2:]), seconds)
        return self.w3.eth.get_transaction_receipt(transaction_hash)

    def why(self, transaction_hash: str) -> dict[str, Any]:
        """``foretell_why``"""
        answer: dict[str, Any] = self.chain.rpc("foretell_why", [transaction_hash])
        return answer

    def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Wait for something that another thread does."""
        due = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > due:
                raise AssertionError("it did not happen in time")
            time.sleep(0.01)

    def infer_data(
        self, inputs: tuple[int, ...] = INPUTS, assurance: int = 1, *, accepts_open: bool = False
    ) -> bytes:
        """Calldata of the precompile."""
        return encode_infer(InferCall(self.model_id, inputs, Assurance(assurance), accepts_open))

    def job(self, inputs: tuple[int, ...] = INPUTS, assurance: int = 1) -> InferenceJob:
        """The question that a call of the precompile asks."""
        quantised = quantise(inputs, SCALE)
        return InferenceJob(
            request_id=precompile_request_id(self.config.chain_id, self.model_id, tensor_hash(quantised)),
            model_id=self.model_id,
            inputs=quantised,
            min_assurance=Assurance(assurance),
            chain_id=self.config.chain_id,
            verifying_contract=PRECOMPILE,
        )

    def infer(self, inputs: tuple[int, ...] = INPUTS, assurance: int = 1) -> tuple[tuple[int, ...], bytes]:
        """``eth_call`` of the precompile."""
        output = self.w3.eth.call({"to": PRECOMPILE, "data": self.infer_data(inputs, assurance)})
        outputs, receipt_id = decode(["int256[]", "bytes32"], output)
        return outputs, receipt_id

    def in_order(
        self, *names: str, bond: int = 10 * ETHER, inputs: tuple[int, ...] = INPUTS
    ) -> list[ScriptedOperator]:
        """Bonded operators in the order in which the question of ``inputs`` is asked of them now."""
        made = {
            operator.address: operator for operator in (self.add_operator(each, bond=bond) for each in names)
        }
        return [made[address] for address in self.chain.pool.drawn(self.job(inputs).request_id)]

    def right(self, inputs: tuple[int, ...] = INPUTS) -> tuple[int, ...]:
        """The one correct output in WAD."""
        return (sum(quantise(inputs, SCALE)) * (WAD >> SCALE),)

    def sidecar(self, number: int | str = "latest") -> tuple[bytes, Sidecar, bytes]:
        """What a full node gets: block, sidecar, hash."""
        block = number if isinstance(number, str) else hex(number)
        answer = self.chain.rpc("foretell_sidecar", [block])
        sidecar = Sidecar.from_json(answer)
        return bytes.fromhex(answer["block"][2:]), sidecar, bytes.fromhex(answer["blockHash"][2:])


def address_of(number: int) -> str:
    """A small address."""
    return to_checksum_address(number.to_bytes(20, "big"))
