"""The history, read by who does not hold the chain's lock."""

from pathlib import Path

from foretell_evm.chain import ForetellChain
from foretell_evm.history import History
from foretell_evm.storage.store import Store


def test_inclusion__in_a_block_that_is_stored_and_not_the_head_yet__none(tmp_path: Path) -> None:
    with ForetellChain.create() as chain, Store(tmp_path) as store:
        sender, to = (account.address for account in chain.accounts[:2])
        chain.rpc("eth_sendTransaction", [{"from": sender, "to": to, "value": "0x1"}])
        history = History(store, chain.history.block(0))
        block = chain.head.block
        store.append(chain.head)
        assert history.inclusion(block.transactions[0].hash) is None
        assert history.block_by_hash(block.hash) is None
        reopened = History(store, chain.history.block(0))
        assert reopened.inclusion(block.transactions[0].hash) is not None
