"""revm, by pyrevm, which runs messages and not transactions: buying gas and paying for it is done here.

It takes the simple cases of the generator. Others are beyond pyrevm: it has no lists of authorizations, reads
no delegation from an account that it is given, takes the base fee for 0, prices blobs as Cancun did, has no
BLS12-381, and the second slot that it is given of an account counts as written already. It knows no tries, so
it is asked for the accounts that it touched.
"""

from dataclasses import dataclass
from typing import Any, Final

import pyrevm
from eth.abc import SignedTransactionAPI, StateAPI
from eth.vm.forks.cancun.state import get_total_blob_gas
from eth.vm.forks.prague import PragueVM
from eth_typing import Address
from eth_utils import keccak, to_canonical_address, to_checksum_address

from tests.conformance.cases import Case, Execution

SLOTS: Final = range(4)
"""Where programs store things, but for noise."""
_BASE_GAS, _FLOOR_PER_TOKEN, _TOKENS_PER_BYTE = 21_000, 10, 4


@dataclass(frozen=True, slots=True)
class Facts:
    """What an account has."""

    balance: int
    nonce: int
    code_hash: bytes
    slots: tuple[int, ...]

    @classmethod
    def of(cls, state: StateAPI, address: Address) -> "Facts":
        """Those of an account in a state of py-evm."""
        slots = tuple(state.get_storage(address, slot) for slot in SLOTS)
        return cls(
            state.get_balance(address), state.get_nonce(address), keccak(state.get_code(address)), slots
        )


def run(case: Case) -> tuple[Execution, dict[Address, Facts]]:
    """The execution of a case's one transaction, which is valid, and the accounts that it touched."""
    transaction = PragueVM.get_transaction_builder().decode(bytes.fromhex(case.transactions[0]))
    price = min(transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas)
    evm = _evm(case, transaction)
    sender, coinbase = transaction.sender.hex(), case.environment.coinbase
    _give(evm, sender, -(transaction.gas * price + get_total_blob_gas(transaction)))
    _send(evm, transaction, price)
    used = max(evm.result.gas_used, _floor(transaction.data))
    _give(evm, sender, (transaction.gas - used) * price)
    _give(evm, coinbase, used * price)
    addresses = {*map(to_canonical_address, evm.journal_state), *map(bytes.fromhex, case.accounts)}
    facts = {Address(each): _facts(evm, each) for each in addresses}
    logs = tuple(_log(each) for each in evm.result.logs) if evm.result.is_success else ()
    return Execution(valid=True, success=evm.result.is_success, gas_used=used, logs=logs), facts


def _evm(case: Case, transaction: SignedTransactionAPI) -> Any:
    given = case.environment
    block = pyrevm.BlockEnv(
        number=given.number,
        coinbase=f"0x{given.coinbase}",
        timestamp=given.timestamp,
        prevrandao=bytes.fromhex(given.prev_randao),
        basefee=0,
        gas_limit=given.gas_limit,
        excess_blob_gas=0,
    )
    blobs = {}
    if get_total_blob_gas(transaction):
        blobs = {
            "blob_hashes": list(transaction.blob_versioned_hashes),
            "max_fee_per_blob_gas": transaction.max_fee_per_blob_gas,
        }
    listed = [(to_checksum_address(address), list(slots)) for address, slots in transaction.access_list]
    env = pyrevm.Env(
        cfg=pyrevm.CfgEnv(chain_id=given.chain_id), block=block, tx=pyrevm.TxEnv(access_list=listed, **blobs)
    )
    evm = pyrevm.EVM(env, gas_limit=given.gas_limit, spec_id="PRAGUE")
    for address, account in case.accounts.items():
        code = bytes.fromhex(account.code)
        # A call does not count its sender's nonce up; a creation does.
        nonce = account.nonce + (transaction.sender.hex() == address and transaction.to != b"")
        info = pyrevm.AccountInfo(balance=account.balance, nonce=nonce, **({"code": code} if code else {}))
        evm.insert_account_info(f"0x{address}", info)
        for slot, value in account.storage.items():
            cold = evm.snapshot()
            evm.insert_account_storage(f"0x{address}", slot, value)
            evm.revert(cold)
    return evm


def _send(evm: Any, transaction: SignedTransactionAPI, price: int) -> None:
    common = {"value": transaction.value, "gas": transaction.gas}
    sender = to_checksum_address(transaction.sender)
    try:
        if transaction.to:
            to = to_checksum_address(transaction.to)
            evm.message_call(sender, to, calldata=transaction.data, gas_price=price, **common)
        else:
            evm.deploy(sender, transaction.data, **common)
    except RuntimeError:
        if evm.result is None:
            raise


def _give(evm: Any, address: str, amount: int) -> None:
    if amount:
        evm.set_balance(f"0x{address}", evm.get_balance(f"0x{address}") + amount)


def _floor(data: bytes) -> int:
    zeros = data.count(0)
    return _BASE_GAS + _FLOOR_PER_TOKEN * (zeros + _TOKENS_PER_BYTE * (len(data) - zeros))


def _facts(evm: Any, address: bytes) -> Facts:
    text = to_checksum_address(address)
    info = evm.basic(text)
    slots = tuple(evm.storage(text, slot) for slot in SLOTS)
    return Facts(info.balance, info.nonce, bytes(info.code_hash), slots)


def _log(log: Any) -> tuple[str, tuple[str, ...], str]:
    _, data = log.data
    return log.address[2:].lower(), tuple(topic.removeprefix("0x") for topic in log.topics), bytes(data).hex()
