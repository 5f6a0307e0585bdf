"""Runs cases on EELS, the executable specification: a JSON case a line in, a JSON outcome a line out.

It belongs to a virtual environment of its own, since EELS needs other versions than the project does, and so
it imports nothing of the project.
"""

import json
import sys
from typing import Any

from ethereum.crypto.hash import keccak256
from ethereum.exceptions import EthereumException
from ethereum.forks.prague import fork, vm
from ethereum.forks.prague.blocks import decode_receipt
from ethereum.forks.prague.fork_types import Account, Address
from ethereum.forks.prague.state import State, set_account, set_storage, state_root
from ethereum.forks.prague.transactions import LegacyTransaction
from ethereum.forks.prague.trie import trie_get
from ethereum.forks.prague.vm.exceptions import OutOfGasError
from ethereum.forks.prague.vm.precompiled_contracts import MODEXP_ADDRESS
from ethereum.forks.prague.vm.precompiled_contracts.mapping import PRE_COMPILED_CONTRACTS
from ethereum_rlp import rlp
from ethereum_rlp.exceptions import RLPException
from ethereum_types.bytes import Bytes, Bytes32
from ethereum_types.numeric import U64, U256, Uint

Json = dict[str, Any]


def _address(text: str) -> Address:
    return Address(bytes.fromhex(text))


def _state(accounts: Json) -> State:
    state = State()
    for address, each in accounts.items():
        code = Bytes(bytes.fromhex(each["code"]))
        set_account(state, _address(address), Account(Uint(each["nonce"]), U256(each["balance"]), code))
        for slot, value in each["storage"].items():
            set_storage(state, _address(address), Bytes32(int(slot).to_bytes(32, "big")), U256(value))
    return state


def _hashed(number: int) -> range:
    """Numbers of the blocks whose hashes a block can ask for; the hash is of the number's digits."""
    return range(max(0, number - 256), number)


def _environment(case: Json) -> vm.BlockEnvironment:
    given = case["environment"]
    return vm.BlockEnvironment(
        chain_id=U64(given["chain_id"]),
        state=_state(case["accounts"]),
        block_gas_limit=Uint(given["gas_limit"]),
        block_hashes=[keccak256(str(number).encode()) for number in _hashed(given["number"])],
        coinbase=_address(given["coinbase"]),
        number=Uint(given["number"]),
        base_fee_per_gas=Uint(given["base_fee"]),
        time=U256(given["timestamp"]),
        prev_randao=Bytes32(bytes.fromhex(given["prev_randao"])),
        excess_blob_gas=U64(given["excess_blob_gas"]),
        parent_beacon_block_root=Bytes32(bytes(32)),
    )


def _decode(raw: bytes) -> Any:
    wire = Bytes(raw) if raw[:1] < b"\x7f" else rlp.decode_to(LegacyTransaction, raw)
    return fork.decode_transaction(wire)


def _execute(environment: vm.BlockEnvironment, output: vm.BlockOutput, raw: bytes, index: int) -> Json:
    before, logs = output.block_gas_used, len(output.block_logs)
    receipts = len(output.receipt_keys)
    try:
        fork.process_transaction(environment, output, _decode(raw), Uint(index))
    except (EthereumException, RLPException):
        if len(output.receipt_keys) != receipts or environment.state._snapshots:
            raise
        return {"valid": False, "success": False, "gas_used": 0, "logs": []}
    receipt = decode_receipt(trie_get(output.receipts_trie, output.receipt_keys[-1]))
    return {
        "valid": True,
        "success": receipt.succeeded,
        "gas_used": int(output.block_gas_used - before),
        "logs": [
            [log.address.hex(), [topic.hex() for topic in log.topics], log.data.hex()]
            for log in output.block_logs[logs:]
        ],
    }


def _dump(state: State) -> Json:
    return {
        address.hex(): {
            "balance": int(account.balance),
            "nonce": int(account.nonce),
            "code": account.code.hex(),
            "storage": {
                str(int.from_bytes(slot, "big")): int(value)
                for slot, value in (
                    state._storage_tries[address]._data if address in state._storage_tries else {}
                ).items()
            },
        }
        for address, account in state._main_trie._data.items()
        if account is not None
    }


def _mend_modexp() -> None:
    """Lengths that add up to more than a word cost more gas than there is; EELS breaks off on them."""
    modexp = PRE_COMPILED_CONTRACTS[MODEXP_ADDRESS]

    def mended(evm: vm.Evm) -> None:
        try:
            modexp(evm)
        except OverflowError:
            raise OutOfGasError from None

    PRE_COMPILED_CONTRACTS[MODEXP_ADDRESS] = mended


def run(case: Json) -> Json:
    """The outcome of a case, and the accounts that it leaves."""
    environment, output = _environment(case), vm.BlockOutput()
    executions = [
        _execute(environment, output, bytes.fromhex(raw), index)
        for index, raw in enumerate(case["transactions"])
    ]
    root = state_root(environment.state).hex()
    return {"executions": executions, "state_root": root, "accounts": _dump(environment.state)}


def main() -> None:
    """Answer until the input ends."""
    sys.setrecursionlimit(100_000)
    _mend_modexp()
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
