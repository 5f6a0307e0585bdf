"""The in-process door: a web3.py provider that calls the chain without a socket."""

from typing import Any

from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from foretell_evm.chain import ForetellChain
from foretell_evm.rpc.dispatch import Dispatcher


class ForetellProvider(JSONBaseProvider):
    """``Web3(ForetellProvider(chain))``"""

    def __init__(self, chain: ForetellChain) -> None:
        super().__init__()
        self.chain = chain
        self._dispatcher = Dispatcher(chain)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Answer one request; errors come back as JSON-RPC errors."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": _plain(params)}
        response: Any = self._dispatcher.respond(request)
        answer: RPCResponse = response
        return answer

    def is_connected(self, show_traceback: bool = False) -> bool:
        """Always: the chain is in this process."""
        del show_traceback
        return True


def _plain(value: Any) -> Any:
    """Values as they would arrive through JSON: web3.py leaves HexBytes and attribute dicts in parameters."""
    if isinstance(value, bytes):
        return "0x" + bytes(value).hex()
    if hasattr(value, "items"):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
