"""Settlement as tests speak to it: by request id. The structs that it takes are rebuilt from its events."""

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.settlement import ZERO_HASH, Delivery, Policy, Request
from tests.kit.chain import CHAIN_ID, Contract, Result

WITH_REQUEST = frozenset({"cancel", "raise_fee", "deliver", "deliver_proven", "equivocate"})
"""Functions whose first argument is a request."""

WITH_DELIVERY = frozenset({"challenge", "prove", "expire", "finalise", "replay_callback"})
"""Functions that take the delivery after it."""

NOTHING = Request(ZERO_ADDRESS, 0, ZERO_HASH, ZERO_HASH, 0, Policy(0, False, 0, 0, 0), 0, 0)
"""Stands for an unknown id."""


class SettlementContract(Contract):
    """Takes request ids where the contract takes structs; structs given as such are passed on."""

    def calldata(self, name: str, *args: Any) -> bytes:
        """Selector and encoded arguments."""
        if args and isinstance(args[0], bytes):
            request_id, *rest = args
            if name in WITH_REQUEST:
                args = (self.request_struct(request_id).words(), *rest)
            elif name in WITH_DELIVERY:
                structs = self.request_struct(request_id).words(), self.delivery_struct(request_id).words()
                args = (*structs, *rest)
            elif name == "output_hash_of":
                args = (request_id, self.delivery_struct(request_id).words())
        return super().calldata(name, *args)

    def _story(self, request_id: bytes) -> list[tuple[str, dict[str, Any]]]:
        return [
            (event.name, vars(event.args))
            for event in self.chain.logs
            if event.address == self.address and getattr(event.args, "request_id", None) == request_id
        ]

    def request_struct(self, request_id: bytes) -> Request:
        """What never changes of a request, from its events; ``NOTHING`` when it is unknown."""
        for name, args in self._story(request_id):
            if name in ("Requested", "ReceiptSettled"):
                return Request.from_event(name, _plain(args))
        return NOTHING

    def delivery_struct(self, request_id: bytes) -> Delivery:
        """What is known of its delivery, from its events."""
        return Delivery.from_events(self._story(request_id))

    def request(self, *args: Any, fee: int | None = None, value: int = 0, **kw: Any) -> Result:
        """Open a request; the fee is what is sent with it unless given."""
        return self._open("request", args, value if fee is None else fee, value, kw)

    def settle_receipt(self, *args: Any, fee: int | None = None, value: int = 0, **kw: Any) -> Result:
        """Settle a receipt; the fee is what is sent with it unless given."""
        return self._open("settle_receipt", args, value if fee is None else fee, value, kw)

    def _open(self, name: str, args: tuple[Any, ...], fee: int, value: int, kw: dict[str, Any]) -> Result:
        result = self.chain.send(self.address, self.calldata(name, *args, fee), value=value, **kw)
        return Result(self.decode(name, result.value), result.events, result.gas_used)

    def request_of(self, request_id: bytes) -> SimpleNamespace:
        """Everything about a request; what events tell of it must be what the contract has stored."""
        request, delivery = self.request_struct(request_id), self.delivery_struct(request_id)
        state = self.state_of(request_id)
        if request is not NOTHING and request.id(CHAIN_ID, self.address) != request_id:
            raise AssertionError("the events tell of another request")
        if state.commitment and state.commitment != delivery.commitment:
            raise AssertionError("the events tell of another delivery")
        values = {**asdict(request), **asdict(delivery)}
        values["policy"] = SimpleNamespace(**asdict(request.policy))
        names = ("status", "assurance", "failed_callback", "final_at")
        return SimpleNamespace(**values, **{name: getattr(state, name) for name in names})


def _plain(args: dict[str, Any]) -> dict[str, Any]:
    if "policy" in args:
        return {**args, "policy": vars(args["policy"])}
    return args
