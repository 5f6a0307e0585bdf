"""Another node, asked over JSON-RPC. Nothing that it says is believed; its answers are bounded."""

import re
import time
from typing import Any, Final, Self

import requests
from eth_typing import HexStr
from pydantic_core import from_json
from urllib3.exceptions import HTTPError, ReadTimeoutError

from foretell_evm.description import ChainDescription
from foretell_evm.errors import UpstreamError
from foretell_spec.errors import SpecError
from foretell_spec.sidecar import Dissent, Sidecar

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_TIMEOUT_S: Final = 30.0
"""For a connection, and between two parts of an answer."""
_ANSWER_S: Final = 300.0
"""For the body of one answer: somebody who sends a byte now and then never reaches the other limit."""
_PART_BYTES: Final = 65_536
_QUANTITY: Final = re.compile(r"0x(0|[1-9a-f][0-9a-f]{0,15})")


class Upstream:
    """A node's JSON-RPC. Close it, or use it as a context manager."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
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
        except (requests.RequestException, HTTPError) as error:
            failure = UpstreamError(f"{self.url} does not answer: {_short(error)}")
            failure.hint = "is the node running, and is this the address that it prints?"
            raise failure from None
        except ValueError:
            raise UpstreamError(f"{self.url} answers {method} with what is no JSON") from None
        return _result(self.url, method, answer)

    def _read(self, response: requests.Response) -> bytes:
        body, end = bytearray(), time.monotonic() + _ANSWER_S
        # Not iter_content: it waits until a part is full, and unpacks what is compressed.
        while part := response.raw.read1(_PART_BYTES, decode_content=False):
            body += part
            if time.monotonic() > end:
                raise UpstreamError(f"{self.url} takes over {_ANSWER_S:g} seconds for one answer")
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

    def chain_id(self) -> int:
        """The chain's id, as the node says."""
        return self._integer("eth_chainId", self.call("eth_chainId"))

    def dissents(self) -> tuple[Dissent, ...]:
        """The dissents that the node's pool knows.

        Raises:
            UpstreamError: the node does not give them in their form.
        """
        answer = self.call("foretell_pool")
        try:
            return tuple(Dissent.from_json(each) for each in answer["dissents"])
        except (KeyError, TypeError, SpecError) as error:
            raise UpstreamError(f"{self.url} gives no dissents: {error}") from None

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
        if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
            raise UpstreamError(f"{self.url} answers {method} without a number")
        return int(value, 16)


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


def _short(error: requests.RequestException | HTTPError) -> str:
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return f"no answer within {_TIMEOUT_S:g} seconds"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error)[:200]
