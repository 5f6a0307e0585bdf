"""What benches put on a chain before they ask: models of which no proof is asked, and bonded operators."""

from typing import Any, Final

from eth_keys.datatypes import PrivateKey
from eth_utils import keccak
from web3 import Web3
from web3.types import Wei

from foretell_contracts import load
from foretell_spec.addresses import MODEL_REGISTRY, OPERATOR_REGISTRY
from foretell_spec.divergence import DeterminismClass
from foretell_spec.manifest import Manifest

ETHER: Final = 10**18
_VERIFIER_CODE: Final = bytes.fromhex("60015f5260205ff3")
"""Code for a model's entry to pin: it says yes to everything."""
_VERIFIER_INIT: Final = bytes.fromhex("67") + _VERIFIER_CODE + bytes.fromhex("5f5260086018f3")


def register_model(w3: Web3, inputs: int = 1) -> bytes:
    """Register a model of so many inputs and one output, and give its id."""
    sender = w3.eth.accounts[0]
    sent = w3.eth.send_transaction({"from": sender, "data": _VERIFIER_INIT, "gas": 200_000})
    verifier = w3.eth.get_transaction_receipt(sent)["contractAddress"]
    manifest = Manifest(
        determinism=DeterminismClass.CIRCUIT,
        metadata_hash=keccak(text="bench"),
        input_size=inputs,
        output_size=1,
        input_scale=7,
        output_scale=7,
        input_min=-(2**60),
        input_max=2**60,
        tolerance=0,
        verifier_code_hash=keccak(_VERIFIER_CODE),
        challenge_window=60,
        proof_window=60,
    )
    models = w3.eth.contract(MODEL_REGISTRY, abi=load("ModelRegistry").abi)
    models.functions.register(manifest.words(), verifier).transact({"from": sender})
    return manifest.model_id


def bond(w3: Web3, key: PrivateKey) -> None:
    """Fund the account of a key, and register it as an operator that signs with it."""
    address = key.public_key.to_checksum_address()
    w3.eth.send_transaction({"from": w3.eth.accounts[0], "to": address, "value": Wei(20 * ETHER)})
    registry = w3.eth.contract(OPERATOR_REGISTRY, abi=load("OperatorRegistry").abi)
    call: Any = registry.functions.register(address, ETHER)
    built = call.build_transaction({"from": address, "value": 10 * ETHER, "gas": 500_000, "nonce": 0})
    w3.eth.send_raw_transaction(w3.eth.account.sign_transaction(built, key.to_bytes()).raw_transaction)
