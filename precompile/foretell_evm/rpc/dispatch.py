"""How a JSON-RPC request becomes an answer."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from pydantic_core import to_json

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import EvmError, RpcError
from foretell_evm.rpc.codec import INVALID_PARAMS, Json
from foretell_evm.rpc.filters import Filters
from foretell_evm.rpc.followers import refuse_changes
from foretell_evm.rpc.methods import METHODS, Method

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000
RESPONSE_TOO_LARGE: Final = -32003
LIMIT_EXCEEDED: Final = -32005
MAX_BATCH: Final = 1000
MAX_RESPONSE_BYTES: Final = 64 * 1024 * 1024
_MAX_MESSAGE: Final = 1000
"""Characters of an error: it may quote what the client sent."""

log = structlog.get_logger(__name__)


def _arity(method: Method, given: int) -> tuple[int, int]:
    """How many parameters a request must and may have; ``given`` are those that the dispatcher adds."""
    parameters = list(inspect.signature(method).parameters.values())[given:]
    return sum(each.default is each.empty for each in parameters), len(parameters)


_ARITIES: Final = {name: _arity(method, 1) for name, method in METHODS.items()}


class Dispatcher:
    """Answers JSON-RPC requests of one chain; all its copies share its filters.

    Args:
        chain: the chain.
        methods: of this door alone; they do not take the chain.
    """

    def __init__(self, chain: ForetellChain, methods: Mapping[str, Method] | None = None) -> None:
        self._chain = chain
        self._own_methods = _filter_methods(chain) if methods is None else methods
        self._arities = {name: _arity(method, 0) for name, method in self._own_methods.items()}

    def with_methods(self, methods: Mapping[str, Method]) -> "Dispatcher":
        """A dispatcher that knows further methods."""
        return Dispatcher(self._chain, {**self._own_methods, **methods})

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of a method.

        Raises:
            RpcError: with the code and data that a client gets.
        """
        function, arguments = self._find(method, params)
        if self._chain.follower is not None:
            refuse_changes(self._chain.follower, method)
        try:
            return function(*arguments)
        except RpcError:
            raise
        except EvmError as error:
            # No data: clients take an error that has some for a revert.
            raise RpcError(SERVER_ERROR, str(error)) from error

    def _find(self, method: str, params: Sequence[Any]) -> tuple[Method, Sequence[Any]]:
        if method in self._own_methods:
            function, arguments = self._own_methods[method], list(params)
        elif method in METHODS:
            function, arguments = METHODS[method], [self._chain, *params]
        else:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist")
        least, most = self._arities.get(method) or _ARITIES[method]
        if not least <= len(params) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise RpcError(INVALID_PARAMS, f"{method}: takes {wanted} parameters, not {len(params)}")
        return function, arguments

    def respond(self, request: Any) -> Json | list[Json] | None:
        """The response to a request or a batch; ``None`` for notifications alone. Never raises."""
        if not isinstance(request, list):
            return self._respond_one(request)
        if not _is_batch(request):
            return _NO_BATCH
        answers = [answer for each in request if (answer := self._respond_one(each)) is not None]
        return answers or None

    def respond_encoded(self, request: Any) -> bytes | None:
        """:meth:`respond` as JSON text of a bounded size: what does not fit is an error instead."""
        if not isinstance(request, list):
            answer = self._respond_one(request)
            return None if answer is None else _bounded(answer, MAX_RESPONSE_BYTES)[0]
        if not _is_batch(request):
            return encode(_NO_BATCH)
        texts, room = [], MAX_RESPONSE_BYTES
        for each in request:
            if not room:
                texts.append(encode(_too_large(each)))
                continue
            answer = self._respond_one(each)
            if answer is not None:
                text, room = _bounded(answer, room)
                texts.append(text)
        return b"[" + b",".join(texts) + b"]" if texts else None

    def _respond_one(self, request: Any) -> Json | None:
        if not isinstance(request, Mapping) or not isinstance(request.get("method"), str):
            return _error(None, INVALID_REQUEST, "not a JSON-RPC request")
        params, identifier = request.get("params"), request.get("id")
        if isinstance(identifier, bool) or not isinstance(identifier, str | int | float | None):
            return _error(None, INVALID_REQUEST, "id must be a string, a number or null")
        if params is None:
            params = ()
        if not isinstance(params, list | tuple):
            return _error(identifier, INVALID_PARAMS, "params must be an array")
        answer = self._answer(request["method"], params, identifier)
        return answer if "id" in request else None

    def _answer(self, method: str, params: Sequence[Any], identifier: Any) -> Json:
        try:
            return {"jsonrpc": "2.0", "id": identifier, "result": self.call(method, params)}
        except RpcError as error:
            return _error(identifier, error.rpc_code, str(error), error.data)
        except Exception as error:  # a client must get an answer; the log gets the traceback
            log.exception("rpc_failed", method=method)
            return _error(identifier, INTERNAL_ERROR, f"internal error: {type(error).__name__}: {error}")


def _filter_methods(chain: ForetellChain) -> dict[str, Method]:
    filters = Filters(chain)
    return {
        "eth_newBlockFilter": filters.new_block_filter,
        "eth_newPendingTransactionFilter": filters.new_pending_filter,
        "eth_newFilter": filters.new_log_filter,
        "eth_getFilterChanges": filters.changes,
        "eth_getFilterLogs": filters.logs,
        "eth_uninstallFilter": filters.uninstall,
    }


def encode(value: Any) -> bytes:
    """JSON text."""
    return to_json(value, inf_nan_mode="null")


def _is_batch(request: list[Any]) -> bool:
    return 0 < len(request) <= MAX_BATCH


def _bounded(answer: Json, room: int) -> tuple[bytes, int]:
    """The text of an answer, or of an error where there is no room for it, and the room that is left."""
    text = encode(answer)
    if len(text) <= room:
        return text, room - len(text)
    return encode(_too_large(answer)), 0


def _too_large(asked: Any) -> Json:
    identifier = asked.get("id") if isinstance(asked, Mapping) else None
    return _error(identifier, RESPONSE_TOO_LARGE, f"the response has over {MAX_RESPONSE_BYTES} bytes")


def _error(identifier: Any, code: int, message: str, data: Any = None) -> Json:
    error: Json = {"code": code, "message": message[:_MAX_MESSAGE]}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": identifier, "error": error}


PARSE_FAILED: Final = _error(None, PARSE_ERROR, "parse error")
"""The answer to what is no JSON."""
BUSY: Final = _error(None, LIMIT_EXCEEDED, "the node is busy; try again")
"""The answer where the node holds as much as it may."""
_NO_BATCH: Final = _error(None, INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} requests")
