"""Deploys the protocol to any chain, and enters models and operators: for users, tests and the
demonstration.
"""

from dataclasses import dataclass
from typing import Any, Final

from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from eth_utils import keccak, to_checksum_address
from hexbytes import HexBytes
from web3 import Web3
from web3.contract import Contract
from web3.types import TxReceipt

from foretell_contracts import load
from foretell_relayer.errors import RelayError
from foretell_relayer.models.folder import CircuitFolder
from foretell_spec import addresses

ETHER: Final = 10**18
RECEIPT_TIMEOUT: Final = 120.0


class DeployFailed(RelayError):
    """A transaction of a deployment did not do what it should."""

    code = "R-DEP-001"
    hint = "Check the account's balance and that the chain runs Cancun or later."


@dataclass(frozen=True, slots=True)
class ProtocolParams:
    """What constructors take. Bonds in wei, times in seconds."""

    min_bond: int = ETHER
    unbonding_period: int = 7 * 24 * 3600
    dispute_bond: int = ETHER // 2
    cancel_delay: int = 600
    precompile: ChecksumAddress = addresses.PRECOMPILE


@dataclass(frozen=True, slots=True)
class AddressBook:
    """Where the protocol's contracts are."""

    model_registry: ChecksumAddress
    operator_registry: ChecksumAddress
    circuit_verifier: ChecksumAddress
    disputes: ChecksumAddress
    settlement: ChecksumAddress


FORK: Final = AddressBook(
    model_registry=addresses.MODEL_REGISTRY,
    operator_registry=addresses.OPERATOR_REGISTRY,
    circuit_verifier=addresses.CIRCUIT_VERIFIER,
    disputes=addresses.DISPUTES,
    settlement=addresses.SETTLEMENT,
)
"""The fork has the contracts in its genesis block."""


def deploy_protocol(w3: Web3, account: LocalAccount, params: ProtocolParams | None = None) -> AddressBook:
    """Deploy registries, verifier and settlement; they name each other, so their addresses are computed
    before.

    Args:
        w3: the chain.
        account: pays; it gets no power over the contracts.
        params: what the constructors take.

    Raises:
        DeployFailed: a contract is not where it should be.
    """
    params = params or ProtocolParams()
    nonce = w3.eth.get_transaction_count(account.address)
    places = [create_address(account.address, nonce + index) for index in range(5)]
    book = AddressBook(*places)
    constructors: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("ModelRegistry", ()),
        ("OperatorRegistry", (book.settlement, params.min_bond, params.unbonding_period)),
        ("CircuitVerifier", (book.model_registry,)),
        ("Disputes", (book.operator_registry, book.circuit_verifier, params.dispute_bond)),
        (
            "Settlement",
            (book.model_registry, book.disputes, params.precompile, params.cancel_delay),
        ),
    )
    for (name, arguments), place in zip(constructors, places, strict=True):
        if deploy(w3, account, name, *arguments) != place:
            raise DeployFailed(
                f"{name} was not deployed at {place}: the account sent something else meanwhile"
            )
    return book


def register_model(
    w3: Web3, account: LocalAccount, book: AddressBook, folder: CircuitFolder
) -> ChecksumAddress:
    """Deploy a model's verifier and register the model; returns the verifier's address.

    Raises:
        DeployFailed: a transaction reverted, for example because the model is registered already.
    """
    what = f"the verifier of {folder.name}"

    def create(code: bytes) -> ChecksumAddress:
        return _create(w3, account, code, what)

    def send(address: ChecksumAddress, data: bytes) -> None:
        _deliver(w3, account, {"to": address, "data": data}, what)

    verifier = folder.verifier.compiled().deploy(create, send)
    registry = contract(w3, "ModelRegistry", book.model_registry)
    transact(w3, account, registry.functions.register(folder.manifest.words(), verifier))
    return verifier


def register_operator(
    w3: Web3,
    account: LocalAccount,
    book: AddressBook,
    *,
    bond: int,
    signer: ChecksumAddress | None = None,
    exposure_cap: int = 2**255,
) -> None:
    """Make ``account`` an operator with ``bond`` wei; ``signer`` is its own address unless given."""
    registry = contract(w3, "OperatorRegistry", book.operator_registry)
    transact(w3, account, registry.functions.register(signer or account.address, exposure_cap), value=bond)


def deploy(w3: Web3, account: LocalAccount, name: str, *arguments: Any) -> ChecksumAddress:
    """Deploy one of the shipped contracts.

    Raises:
        DeployFailed: its constructor reverted.
    """
    artifact = load(name)
    factory = w3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    return _create(w3, account, bytes(HexBytes(factory.constructor(*arguments).data_in_transaction)), name)


def contract(w3: Web3, name: str, address: ChecksumAddress) -> Contract:
    """A shipped contract at an address."""
    found: Contract = w3.eth.contract(address=address, abi=load(name).abi)
    return found


def transact(w3: Web3, account: LocalAccount, call: Any, value: int = 0) -> TxReceipt:
    """Send a call of a contract's function and wait for its receipt.

    Raises:
        DeployFailed: it reverted.
    """
    transaction = call.build_transaction(_envelope(w3, account) | {"value": value})
    return _send(w3, account, transaction, call.fn_name)


def create_address(sender: ChecksumAddress, nonce: int) -> ChecksumAddress:
    """Address of the contract that a sender's transaction creates: keccak256 of RLP([sender, nonce])."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    item = number if len(number) == 1 and number[0] < 0x80 else bytes([0x80 + len(number)]) + number
    body = b"\x94" + bytes.fromhex(sender[2:]) + item
    return to_checksum_address(keccak(bytes([0xC0 + len(body)]) + body)[12:])


def _create(w3: Web3, account: LocalAccount, data: bytes, what: str) -> ChecksumAddress:
    address = _deliver(w3, account, {"data": data, "to": b""}, what)["contractAddress"]
    if not address:
        raise DeployFailed(f"{what}: the node reported no address")
    return to_checksum_address(address)


def _deliver(w3: Web3, account: LocalAccount, message: dict[str, Any], what: str) -> TxReceipt:
    asked = {"from": account.address, "data": HexBytes(message["data"])}
    asked |= {"to": message["to"]} if message["to"] else {}
    fee = w3.eth.gas_price
    fees = {"maxFeePerGas": 2 * fee, "maxPriorityFeePerGas": min(fee, 10**9)}
    gas = w3.eth.estimate_gas(asked)  # type: ignore[arg-type]
    return _send(w3, account, _envelope(w3, account) | message | fees | {"value": 0, "gas": gas}, what)


def _envelope(w3: Web3, account: LocalAccount) -> dict[str, Any]:
    nonce = w3.eth.get_transaction_count(account.address)
    return {"from": account.address, "nonce": nonce, "chainId": w3.eth.chain_id}


def _send(w3: Web3, account: LocalAccount, transaction: dict[str, Any], what: str) -> TxReceipt:
    signed = account.sign_transaction(transaction)
    tx_hash = w3.eth.send_raw_transaction(signed.raw_transaction)
    receipt = w3.eth.wait_for_transaction_receipt(tx_hash, timeout=RECEIPT_TIMEOUT, poll_latency=0.05)
    if receipt["status"] != 1:
        raise DeployFailed(f"{what}: transaction 0x{bytes(tx_hash).hex()} reverted")
    return receipt
