"""A development chain whose operators run models: what ``ape test``, the demo and ``foretell node`` start.

It joins the two halves that never import each other: the fork (``foretell_evm``), and the operators with
their models and proofs (``foretell_relayer``). Operators live in this process and answer with real inference
and, where ``PROVEN`` is asked for, with real proofs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey
from eth_typing import ChecksumAddress
from eth_utils import keccak
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.exceptions import ContractLogicError, Web3RPCError
from web3.types import TxParams, TxReceipt, Wei

from foretell_contracts import load
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig, Mining
from foretell_evm.rpc.provider import ForetellProvider
from foretell_relayer.models.folder import CircuitFolder, ModelFolder
from foretell_relayer.models.proofs import ProofCache
from foretell_relayer.models.samples import to_wad
from foretell_relayer.models.store import ModelStore
from foretell_relayer.operator import Identity, LocalOperator
from foretell_spec.addresses import (
    CIRCUIT_VERIFIER,
    MODEL_REGISTRY,
    OPERATOR_REGISTRY,
    SETTLEMENT,
    ZERO_ADDRESS,
)
from foretell_spec.manifest import Manifest
from foretell_spec.operator import Operator
from foretell_spec.request import NO_SEED
from foretell_spec.tensor import Tensor

ETHER: Final = 10**18
BOND: Final = 1_000 * ETHER
"""Wei that a development operator puts up unless told otherwise."""

POCKET_MONEY: Final = 100 * ETHER
"""Wei that an account of the devnet's own has for gas."""

REGISTER_GAS: Final = 300_000
"""More than ``OperatorRegistry.register`` takes."""

TREASURY: Final = "treasury"
TREASURE: Final = 10**9 * ETHER
"""Wei that the devnet's own account starts with."""

NO_CAP: Final = 2**256 - 1

MakeOperator = Callable[[Identity, ModelStore, ProofCache], Operator]
"""Makes who answers for an identity; tests and demonstrations make dishonest ones."""


class DevnetError(Exception):
    """The devnet cannot do what was asked; the message says why."""

    code = "C-DEV-001"


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model on the chain: its folder, and the contract that verifies its proofs, zero where it has none."""

    folder: ModelFolder
    verifier: ChecksumAddress

    @property
    def model_id(self) -> bytes:
        """The id under which contracts ask for it."""
        return self.folder.model_id

    @property
    def name(self) -> str:
        """The model's name, for people."""
        return self.folder.name

    @property
    def manifest(self) -> Manifest:
        """What the registry stores of it."""
        return self.folder.manifest

    def samples(self) -> list[list[int]]:
        """The inputs that ship with the model, WAD, as a contract takes them."""
        return [[to_wad(value) for value in row] for row in self.folder.samples().tolist()]


@dataclass(frozen=True, slots=True)
class DevOperator:
    """A bonded operator in this process."""

    account: LocalAccount
    service: Operator

    @property
    def address(self) -> ChecksumAddress:
        """The bonded account, whose key also signs its bundles."""
        return self.service.address


def dev_key(name: str) -> PrivateKey:
    """A key that follows from a name. Everybody can derive it: for development chains only."""
    return PrivateKey(keccak(text=f"foretell devnet: {name}"))


def operator_key(number: int) -> PrivateKey:
    """The key of the operator that a devnet adds after ``number`` others."""
    return dev_key(f"operator {number}")


def endowed(config: ChainConfig) -> ChainConfig:
    """``config`` with the account from which a devnet pays."""
    treasury = dev_key(TREASURY).public_key.to_checksum_address()
    return replace(config, endowments=(*config.endowments, (treasury, TREASURE)))


def local_operator(identity: Identity, store: ModelStore, proofs: ProofCache) -> LocalOperator:
    """An honest operator: the default of ``Devnet.add_operator``."""
    return LocalOperator(identity, store, proofs=proofs)


class Devnet:
    """A chain in this process, its operators, and the models that they serve.

    Everything that the devnet does on the chain is a transaction of accounts of its own, so the accounts of
    ``config`` start with nonce 0 and their whole balance.
    """

    def __init__(
        self, chain: ForetellChain | ChainConfig | None = None, *, store: ModelStore | None = None
    ) -> None:
        """Start a chain without models and operators, or join one.

        Args:
            chain: a chain that runs already, made of an ``endowed`` configuration; or the configuration of a
                new one, whose accounts are the user's. Default: 10 accounts, a block a transaction.
            store: models known already, and the cache of their circuits. Default: the user's cache.
        """
        if not isinstance(chain, ForetellChain):
            chain = ForetellChain.create(endowed(chain or ChainConfig()))
        self.chain = chain
        self.w3 = Web3(ForetellProvider(chain))
        key = dev_key(TREASURY)
        self.treasury: LocalAccount = Account.from_key(key.to_bytes())
        self.store = store or ModelStore()
        self.proofs = ProofCache(self.store.cache.root / "proofs")
        self.models: dict[bytes, RegisteredModel] = {}
        self.operators: list[DevOperator] = []
        self._added = 0
        self.model_registry = self._predeployed("ModelRegistry", MODEL_REGISTRY)
        self.operator_registry = self._predeployed("OperatorRegistry", OPERATOR_REGISTRY)
        self.circuit_verifier = self._predeployed("CircuitVerifier", CIRCUIT_VERIFIER)
        self.settlement = self._predeployed("Settlement", SETTLEMENT)
        self._runner = LocalOperator(Identity(self.treasury.address, key), self.store, proofs=self.proofs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the chain and end the operators' processes. A second call does nothing."""
        self.chain.close()
        self._runner.close()
        for operator in self.operators:
            _close(operator.service)

    def fund(self, address: ChecksumAddress, wei: int) -> None:
        """Send ether to an account."""
        self._send(self.treasury, {"to": address, "value": Wei(wei), "gas": 100_000})

    def register_model(self, folder: Path) -> RegisteredModel:
        """Put a model on the chain, and make every operator able to answer for it.

        Registers it, with a verifier contract if it has a circuit, and makes it ready, which takes a second
        or more when this machine sees the model for the first time. What the chain has already is left as it
        is.

        Raises:
            ModelError: the folder is incomplete, altered or damaged, or cannot be served here.
            DevnetError: its manifest names a publisher, who alone may register it.
        """
        model = self.store.add(folder)
        self.store.prepare(model.model_id)
        entry = self.model_registry.functions.entry(model.model_id).call()
        registered = RegisteredModel(model, entry[1] if entry[2] else self.publish(model))
        self.models[model.model_id] = registered
        return registered

    def add_operator(
        self,
        key: PrivateKey | None = None,
        *,
        bond: int = BOND,
        exposure_cap: int = NO_CAP,
        make: MakeOperator = local_operator,
    ) -> DevOperator:
        """Bond an operator, and let the chain ask it.

        Args:
            key: of the bonded account, which signs its bundles too; one that is bonded already stays as it
                is. Default: one that follows from the number of operators added before, the same in each run.
            bond: wei, at least the registry's ``min_bond``.
            exposure_cap: most wei of the bond that may be locked at once.
            make: who answers. Default: an honest operator with the devnet's models.
        """
        key = key or operator_key(self._added)
        self._added += 1
        account: LocalAccount = Account.from_key(key.to_bytes())
        # On a chain that was kept it may be bonded already.
        if self.operator_registry.functions.signer_of(account.address).call() != account.address:
            missing = bond + POCKET_MONEY - self.w3.eth.get_balance(account.address)
            if missing > 0:
                self.fund(account.address, missing)
            register = self.operator_registry.functions.register(account.address, exposure_cap)
            self._send(account, {"value": Wei(bond), "gas": REGISTER_GAS}, register)
        operator = DevOperator(account, make(Identity(account.address, key), self.store, self.proofs))
        self.operators.append(operator)
        self.chain.add_operator(operator.service)
        return operator

    def remove_operator(self, operator: DevOperator) -> None:
        """Let the chain ask an operator no more, and end its process. Its bond stays where it is."""
        self.operators.remove(operator)
        self.chain.remove_operator(operator.address)
        _close(operator.service)

    def infer(self, model: RegisteredModel, inputs: Tensor, seed: bytes = NO_SEED) -> Tensor:
        """The model's output for quantised ``inputs``: the one correct one, where its class defines it."""
        return self._runner.infer(model.folder, inputs, seed)

    def prove(self, model: RegisteredModel, inputs: Tensor) -> tuple[Tensor, bytes]:
        """The model's output for quantised ``inputs``, and a proof of it as Settlement takes it."""
        outputs = self.infer(model, inputs)
        return outputs, self._runner.prove(model.folder, inputs, outputs)

    def transact(
        self, account: LocalAccount, call: ContractFunction | ContractConstructor, wei: int = 0
    ) -> TxReceipt:
        """Send ``call`` from ``account`` and wait until it is in a block.

        Raises:
            DevnetError: it reverts; the message holds the contract's reason.
        """
        return self._send(account, {"value": Wei(wei)}, call)

    def _send(
        self,
        account: LocalAccount,
        fields: TxParams,
        call: ContractFunction | ContractConstructor | None = None,
    ) -> TxReceipt:
        eth = self.w3.eth
        fields |= {"from": account.address, "nonce": eth.get_transaction_count(account.address, "pending")}
        fields |= {"maxFeePerGas": Wei(2 * eth.gas_price), "maxPriorityFeePerGas": Wei(0)}
        try:
            filled = call.build_transaction(fields) if call else {**fields, "chainId": eth.chain_id}
            signed = account.sign_transaction(filled)  # type: ignore[arg-type]
            sent = eth.send_raw_transaction(signed.raw_transaction)
            if self.chain.mining is not Mining.AUTO:
                self.chain.mine()
            receipt = eth.wait_for_transaction_receipt(sent)
        except (ContractLogicError, Web3RPCError) as error:
            raise DevnetError(f"transaction of {account.address} refused: {_reason(error)}") from error
        if receipt["status"] != 1:
            raise DevnetError(f"transaction {receipt['transactionHash'].to_0x_hex()} reverted")
        return receipt

    def publish(self, model: ModelFolder) -> ChecksumAddress:
        """Deploy a model's verifier, if it has one, and register the model; the verifier's address, or zero.

        Raises:
            DevnetError: its manifest names a publisher, who alone may register it.
        """
        if model.manifest.publisher != ZERO_ADDRESS:
            raise DevnetError(f"{model.name}: only its publisher {model.manifest.publisher} may register it")
        verifier = self._deploy_verifier(model) if isinstance(model, CircuitFolder) else ZERO_ADDRESS
        self.transact(self.treasury, self.model_registry.functions.register(model.manifest.words(), verifier))
        return verifier

    def _deploy_verifier(self, model: CircuitFolder) -> ChecksumAddress:
        def create(code: bytes) -> ChecksumAddress:
            address = self._send_data({"data": code})["contractAddress"]
            if address is None:
                raise DevnetError(f"{model.name}: its verifier contract was not created")
            return address

        def send(address: ChecksumAddress, data: bytes) -> None:
            self._send_data({"to": address, "data": data})

        return model.verifier.compiled().deploy(create, send)

    def _send_data(self, fields: TxParams) -> TxReceipt:
        gas = self.w3.eth.estimate_gas({"from": self.treasury.address, **fields})
        return self._send(self.treasury, {"value": Wei(0), "gas": gas, **fields})

    def _predeployed(self, name: str, address: ChecksumAddress) -> Contract:
        return self.w3.eth.contract(address, abi=load(name).abi)


def _close(service: Operator) -> None:
    if isinstance(service, LocalOperator):
        service.close()


def _reason(error: ContractLogicError | Web3RPCError) -> str:
    if isinstance(error, Web3RPCError) and error.rpc_response is not None:
        return error.rpc_response["error"]["message"]
    return str(error.message)


def development_chain(
    models: Iterable[Path], *, operators: int = 2, bond: int = BOND, config: ChainConfig | None = None
) -> Devnet:
    """A devnet that is ready to answer: ``operators`` honest operators, and ``models`` registered."""
    # Who is funded at block 0 needs no transaction for it.
    keys = (operator_key(number) for number in range(operators))
    funds = ((key.public_key.to_checksum_address(), bond + POCKET_MONEY) for key in keys)
    config = config or ChainConfig()
    devnet = Devnet(replace(config, endowments=(*config.endowments, *funds)))
    try:
        for _ in range(operators):
            devnet.add_operator(bond=bond)
        for folder in models:
            devnet.register_model(folder)
        devnet.chain.mark_start()
    except BaseException:
        devnet.close()
        raise
    return devnet
