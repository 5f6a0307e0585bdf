"""A development node as web3.py's tests of nodes expect it."""

import threading
from collections.abc import Iterator

import pytest

from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig
from foretell_evm.rpc.http import bind, serve
from tests.conformance.web3_names import CHAIN_ID

BLOCKS = 12
"""Some tests read blocks near the beginning."""


@pytest.fixture(scope="module")
def chain() -> Iterator[ForetellChain]:
    with ForetellChain.create(ChainConfig(chain_id=CHAIN_ID)) as made:
        first, second = made.accounts[:2]
        for _ in range(BLOCKS):
            made.rpc("eth_sendTransaction", [{"from": first.address, "to": second.address, "value": "0x1"}])
        yield made


@pytest.fixture(scope="module")
def port(chain: ForetellChain) -> int:
    listener = bind("127.0.0.1", 0)
    threading.Thread(target=serve, args=(chain, listener), daemon=True).start()
    return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
