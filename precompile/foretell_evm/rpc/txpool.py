"""``txpool_*``: the mempool by sender and nonce, as geth shows it."""

from collections.abc import Callable
from typing import Any

from eth_utils import to_checksum_address

from foretell_evm.chain import ForetellChain
from foretell_evm.mempool import Entry
from foretell_evm.rpc.codec import Json, quantity
from foretell_evm.rpc.views import transaction_json


def _sorted(chain: ForetellChain, show: Callable[[Entry], Any]) -> Json:
    """Entries that are next for their sender or follow such, and those behind a gap of nonces."""
    pending: Json = {}
    queued: Json = {}
    with chain.lock:
        state = chain.state()
        for entry in chain.mempool:
            sender, nonce = entry.transaction.sender, entry.transaction.nonce
            is_next = nonce < chain.mempool.next_nonce(sender, state.get_nonce(sender))
            place = pending if is_next else queued
            place.setdefault(to_checksum_address(sender), {})[str(nonce)] = show(entry)
    return {"pending": pending, "queued": queued}


def content(chain: ForetellChain) -> Json:
    """``txpool_content``"""
    return _sorted(chain, lambda entry: transaction_json(entry.transaction, None))


def inspect(chain: ForetellChain) -> Json:
    """``txpool_inspect``: a line each."""
    return _sorted(chain, _line)


def _line(entry: Entry) -> str:
    fields = entry.transaction
    to = to_checksum_address(fields.to) if fields.to else "contract creation"
    return f"{to}: {fields.value} wei + {fields.gas} gas x {fields.max_fee_per_gas} wei"


def status(chain: ForetellChain) -> Json:
    """``txpool_status``: how many."""
    found = _sorted(chain, lambda entry: entry)
    return {kind: quantity(sum(len(nonces) for nonces in found[kind].values())) for kind in found}
