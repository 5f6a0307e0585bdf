"""Another node, asked over JSON-RPC. Nothing that it says is believed; its answers are bounded."""

from typing import Any, Final, Self

import requests
from eth_typing import HexStr
from pydantic_core import from_json

from foretell_evm.description import ChainDescription
from foretell_evm.errors import UpstreamError
from foretell_spec.errors import SpecError
from foretell_spec.sidecar import Sidecar

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_TIMEOUT_S: Final = 30.0
_PART_BYTES: Final = 65_536


class Upstream:
    """A node's JSON-RPC. Close it, or use it as a context manager."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def call(self, method: str, *params: Any) -> Any:
        """The result of a method.

        Raises:
            UpstreamError: the node cannot be reached, says an error, or what is no answer.
        """
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        try:
            with self._session.post(
                self.url, json=request, timeout=_TIMEOUT_S, stream=True, allow_redirects=False
            ) as response:
                answer = from_json(self._read(response), allow_inf_nan=False)
        except requests.RequestException as error:
            failure = UpstreamError(f"{self.url} does not answer: {_short(error)}")
            failure.hint = "is the node running, and is this the address that it prints?"
            raise failure from None
        except ValueError:
            raise UpstreamError(f"{self.url} answers {method} with what is no JSON") from None
        return _result(self.url, method, answer)

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        for part in response.iter_content(_PART_BYTES):
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                raise UpstreamError(f"{self.url} answers with over {MAX_ANSWER_BYTES} bytes")
        return bytes(body)

    def description(self) -> ChainDescription:
        """What the node says of its chain.

        Raises:
            UpstreamError: it does not say it.
            ConfigError: it says what is no chain.
        """
        return ChainDescription.read(self.call("foretell_chain"))

    def head(self) -> int:
        """Number of the node's last block."""
        return self._integer("eth_blockNumber", self.call("eth_blockNumber"))

    def block_of(self, transaction_hash: str) -> int | None:
        """Number of the block that the node says a transaction is in."""
        found = self.call("eth_getTransactionReceipt", transaction_hash)
        if found is None:
            return None
        number = found.get("blockNumber") if isinstance(found, dict) else None
        return self._integer("eth_getTransactionReceipt", number)

    def block(self, number: int) -> tuple[bytes, Sidecar, bytes]:
        """A block's RLP, its sidecar and its announced hash.

        Raises:
            UpstreamError: the node does not give them in their form.
        """
        answer = self.call("foretell_sidecar", hex(number))
        try:
            return _bytes(answer["block"]), Sidecar.from_json(answer), _bytes(answer["blockHash"])
        except (KeyError, TypeError, ValueError, AttributeError, SpecError) as error:
            raise UpstreamError(f"{self.url} gives no block {number} with its sidecar: {error}") from None

    def _integer(self, method: str, value: Any) -> int:
        try:
            return int(value, 16)
        except (TypeError, ValueError):
            raise UpstreamError(f"{self.url} answers {method} without a block number") from None


def _result(url: str, method: str, answer: Any) -> Any:
    if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
        raise UpstreamError(f"{url} answers {method} with what is no JSON-RPC")
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    message = error.get("message") if isinstance(error, dict) else error
    failure = UpstreamError(f"{url} refuses {method}: {str(message)[:200]}")
    if isinstance(error, dict) and error.get("code") == -32601:
        failure.hint = "this is no Foretell node, or an old one"
    raise failure


def _bytes(value: HexStr) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))


def _short(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return f"no answer within {_TIMEOUT_S:g} seconds"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error)[:200]
