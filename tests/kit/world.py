"""All contracts deployed together, with the people who use them: what the contract tests start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from eth_keys.datatypes import PrivateKey
from eth_utils import keccak, to_checksum_address
from rlp import encode as rlp_encode

from foretell_spec.addresses import PRECOMPILE
from foretell_spec.bundle import bundle_digest, sign_digest
from foretell_spec.manifest import Manifest
from foretell_spec.request import NO_SEED
from foretell_spec.tensor import WAD, quantise, tensor_hash
from tests.kit.chain import CHAIN_ID, Chain, Contract, Result
from tests.kit.compiled import OPTIMIZE, compiled
from tests.kit.manifest import SCALE, adding_manifest
from tests.kit.settlement import SettlementContract

ETHER = 10**18
MIN_BOND = ETHER
BOND = 100 * ETHER
DISPUTE_BOND = ETHER // 2
VALUE_AT_RISK = 2 * ETHER
FEE = ETHER // 100
CANCEL_DELAY = 600
UNBONDING_PERIOD = 7 * 24 * 3600
DEADLINE_IN = 300
CALLBACK_GAS = 300_000
PROOF = b"valid proof"

OPEN, DELIVERED, DISPUTED, FINAL, UNDETERMINED, EXPIRED, CANCELLED = range(1, 8)
NONE, SIGNED, AGREED, ATTESTED, PROVEN = range(5)

INPUTS = (3 * WAD, -WAD // 2)
"""WAD inputs of the model, whose circuit adds its two inputs up."""


@dataclass(frozen=True)
class OperatorAccount:
    """A bonded account and its signing key."""

    address: str
    key: PrivateKey

    @property
    def signer(self) -> str:
        """Address of the signing key."""
        return str(self.key.public_key.to_checksum_address())


def key_of(name: str) -> PrivateKey:
    """A key that follows from a name."""
    return PrivateKey(keccak(text=f"key of {name}"))


def runtime_hash(source: str) -> bytes:
    """Code hash of a contract without immutables."""
    return keccak(hexstr=compiled(source)["runtime"])


def create_address(sender: str, nonce: int) -> str:
    """Address that CREATE gives."""
    return to_checksum_address(keccak(rlp_encode([bytes.fromhex(sender[2:]), nonce]))[12:])


class World:
    """Contracts, a registered model and three operators. The circuit of the model adds two numbers up."""

    def __init__(self) -> None:
        # Without optimisation, code is larger than a chain allows: only its behaviour is compared then.
        self.chain = Chain(code_size_limit=2**17 if OPTIMIZE else None)
        self.deployer = self.chain.account("deployer")
        self.publisher = self.chain.account("publisher")
        self.requester = self.chain.account("requester")
        self.stranger = self.chain.account("stranger")
        self.models = self._deploy("ModelRegistry.vy")
        self.circuit_verifier = self._deploy("verifiers/CircuitVerifier.vy", self.models.address)
        settlement_address = create_address(self.deployer, self.chain.evm.basic(self.deployer).nonce + 2)
        self.operators = self._deploy("OperatorRegistry.vy", settlement_address, MIN_BOND, UNBONDING_PERIOD)
        self.disputes = self._deploy(
            "Disputes.vy", self.operators.address, self.circuit_verifier.address, DISPUTE_BOND
        )
        self.settlement = self.deploy_settlement(self.disputes.address)
        stand_in = compiled("mocks/StandInPrecompile.vy")
        self.chain.place(PRECOMPILE, bytes.fromhex(stand_in["runtime"][2:]))
        self.precompile = self.chain.at(PRECOMPILE, stand_in)
        self.ezkl = self._deploy("mocks/SumVerifier.vy")
        self.manifest = self.make_manifest()
        self.model_id = self.register_model(self.manifest)
        self.alice, self.bob, self.carol = (
            self.register_operator(name) for name in ("alice", "bob", "carol")
        )

    def _deploy(self, source: str, *args: Any) -> Contract:
        return self.chain.deploy(compiled(source), *args, sender=self.deployer)

    def deploy_settlement(self, disputes: str, cancel_delay: int = CANCEL_DELAY) -> SettlementContract:
        """Deploy Settlement over the registries."""
        arguments = (self.models.address, disputes, PRECOMPILE, cancel_delay)
        made = self._deploy("Settlement.vy", *arguments)
        return SettlementContract(self.chain, made.address, made.abi)

    def deploy(self, source: str, *args: Any) -> Contract:
        """Deploy a contract of ``contracts/``."""
        return self._deploy(source, *args)

    def make_manifest(self, **overrides: Any) -> Manifest:
        """A valid manifest with other values for some fields."""
        code_hash = runtime_hash("mocks/SumVerifier.vy")
        return adding_manifest(**{"publisher": self.publisher, "verifier_code_hash": code_hash, **overrides})

    def register_model(self, manifest: Manifest, verifier: str | None = None) -> bytes:
        """Register a model and return its id."""
        result = self.models.register(manifest.words(), verifier or self.ezkl.address, sender=self.publisher)
        model_id: bytes = result.value
        return model_id

    def register_operator(self, name: str, bond: int = BOND, cap: int = 10**30) -> OperatorAccount:
        """Bond an operator."""
        operator = OperatorAccount(self.chain.account(name), key_of(name))
        self.operators.register(operator.signer, cap, sender=operator.address, value=bond)
        return operator

    # ------------------------------------------------------------------ numbers

    @property
    def inputs_q(self) -> tuple[int, ...]:
        """Quantised ``INPUTS``."""
        return quantise(INPUTS, SCALE)

    @property
    def right(self) -> tuple[int, ...]:
        """The one output that the circuit proves."""
        return (sum(self.inputs_q),)

    @property
    def wrong(self) -> tuple[int, ...]:
        """Another output."""
        return (sum(self.inputs_q) + 1,)

    @property
    def also_wrong(self) -> tuple[int, ...]:
        """A third output."""
        return (sum(self.inputs_q) + 2,)

    # ------------------------------------------------------------------ steps

    def policy(self, **overrides: Any) -> dict[str, Any]:
        """A policy: signed is enough, not provisional, insured."""
        values: dict[str, Any] = {
            "min_assurance": SIGNED,
            "provisional": False,
            "callback_gas": CALLBACK_GAS,
            "deadline": self.chain.time + DEADLINE_IN,
            "value_at_risk": VALUE_AT_RISK,
        }
        return {**values, **overrides}

    def request(self, requester: str | None = None, fee: int = FEE, **overrides: Any) -> bytes:
        """Open a request and return its id."""
        result = self.settlement.request(
            self.model_id, INPUTS, self.policy(**overrides), sender=requester or self.requester, value=fee
        )
        request_id: bytes = result.value
        return request_id

    def sign(
        self, operator: OperatorAccount, request_id: bytes, outputs: Sequence[int], /, **overrides: Any
    ) -> bytes:
        """An operator's signature; overrides replace one field of what is signed."""
        fields: dict[str, Any] = {
            "chain_id": CHAIN_ID,
            "verifying_contract": self.settlement.address,
            "request_id": request_id,
            "model_id": self.model_id,
            "input_hash": tensor_hash(self.inputs_q),
            "output_hash": tensor_hash(outputs),
            "seed": NO_SEED,
            "operator": operator.address,
        }
        return sign_digest(operator.key, bundle_digest(**{**fields, **overrides}))

    def deliver(
        self,
        request_id: bytes,
        outputs: Sequence[int] | None = None,
        operator: OperatorAccount | None = None,
        **kw: Any,
    ) -> Result:
        """Alice, or another operator, delivers the right output, or another one."""
        outputs, operator = outputs or self.right, operator or self.alice
        signature = self.sign(operator, request_id, outputs)
        result: Result = self.settlement.deliver(request_id, outputs, operator.address, signature, **kw)
        return result

    def challenge(
        self,
        request_id: bytes,
        outputs: Sequence[int] | None = None,
        operator: OperatorAccount | None = None,
        **kw: Any,
    ) -> Result:
        """Bob, or another operator, challenges with the right output, or another one."""
        outputs, operator = outputs or self.right, operator or self.bob
        signature = self.sign(operator, request_id, outputs)
        result: Result = self.settlement.challenge(request_id, outputs, operator.address, signature, **kw)
        return result

    def prove(self, request_id: bytes, outputs: Sequence[int] | None = None, **kw: Any) -> Result:
        """Prove the right output."""
        result: Result = self.settlement.prove(request_id, self.inputs_q, outputs or self.right, PROOF, **kw)
        return result

    def infer(
        self, outputs: Sequence[int], operator: OperatorAccount | None = None, assurance: int = SIGNED
    ) -> bytes:
        """A result of the precompile in this block; returns its receipt id."""
        self.script(outputs, operator, assurance)
        receipt_id: bytes = self.precompile.infer(self.model_id, INPUTS, assurance).value[1]
        return receipt_id

    def script(
        self, outputs: Sequence[int], operator: OperatorAccount | None = None, assurance: int = SIGNED
    ) -> None:
        """What the stand-in of the precompile will answer."""
        address = (operator or self.alice).address
        self.precompile.script(outputs, address, assurance, SCALE, SCALE)

    def settle_receipt(
        self, receipt_id: bytes, requester: str | None = None, fee: int = FEE, **overrides: Any
    ) -> bytes:
        """Take a receipt into settlement and return the request id."""
        values = {"model_id": self.model_id, "inputs": INPUTS, "value_at_risk": VALUE_AT_RISK, **overrides}
        result = self.settlement.settle_receipt(
            receipt_id, *values.values(), sender=requester or self.requester, value=fee
        )
        request_id: bytes = result.value
        return request_id

    # ------------------------------------------------------------------ views

    def status(self, request_id: bytes) -> int:
        """Status code."""
        code: int = self.settlement.status_of(request_id)
        return code

    def bond_of(self, operator: OperatorAccount) -> SimpleNamespace:
        """The registry's record of an operator."""
        record: SimpleNamespace = self.operators.operator_info(operator.address)
        return record

    def credit(self, account: str | OperatorAccount) -> int:
        """Credit in Settlement."""
        address = account if isinstance(account, str) else account.address
        amount: int = self.settlement.credit_of(address)
        return amount
