"""Who asks the model: the fee pool for the volatility model, a neutral contract for any other one."""

from dataclasses import dataclass
from typing import Final, Protocol

from web3.contract.contract import ContractFunction
from web3.logs import DISCARD
from web3.types import TxReceipt

from foretell_spec.assurance import Assurance
from foretell_spec.tensor import WAD, Tensor
from scripts.demo.closes import Close, closes
from scripts.demo.stage import ETHER, Stage

FIRST_DAY: Final = "2018-02-01"
CRASH: Final = "2018-02-05"
VALUE_AT_RISK: Final = ETHER
SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Question:
    """A transaction that asks the model."""

    call: ContractFunction
    wei: int
    who: str
    says: str


class Consumer(Protocol):
    """A contract that asks, as the story needs it."""

    title: str
    acts: tuple[str, str, str]

    def to_calm(self) -> str:
        """Take the first input; say which."""
        ...

    def to_storm(self) -> str:
        """Take the second input; say which."""
        ...

    def to_next(self) -> str:
        """Take another input; say which."""
        ...

    def inputs(self) -> list[int]:
        """The WAD inputs that a question asks now."""
        ...

    def question(self, assurance: Assurance) -> Question:
        """A transaction that asks for this assurance; insured, if that is less than ``PROVEN``."""
        ...

    def outcome(self, receipt: TxReceipt) -> str:
        """What the contract did with the answer."""
        ...

    def lie(self, truth: Tensor) -> Tensor:
        """What somebody with an interest would sign instead of the truth."""
        ...

    def make_whole(self, receipt: TxReceipt, truth: Tensor) -> tuple[str, TxReceipt]:
        """Fetch the compensation; what it is, compared with the harm."""
        ...


class FeePool:
    """``DynamicFeePool``: its swap fee follows the forecast that the model makes from real daily closes."""

    title = "A pool whose swap fee follows a volatility forecast"
    acts = (
        "A swap whose fee is proven in one transaction",
        "A swap whose fee is signed now and proven later",
        "An operator lies about the fee",
    )

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._owner, self._trader = stage.account(0), stage.account(1)
        history = closes()
        start = next(i for i, close in enumerate(history) if close.day.isoformat() == FIRST_DAY)
        self._future = history[start:]
        self._today: Close = history[start - 1]
        window = [close.price for close in history[start - 23 : start]]
        last_day = self._today.day.toordinal()
        token = stage.deploy("IndexToken", self._owner, 10_000 * ETHER)
        self._feed = stage.deploy("IndexFeed", self._owner, self._owner.address, last_day, window)
        settlement = stage.devnet.settlement.address
        self._pool = stage.deploy(
            "DynamicFeePool", self._owner, settlement, stage.model.model_id, self._feed.address, token.address
        )
        stage.transact(self._owner, token.functions.approve(self._pool.address, 1_000 * ETHER))
        stage.transact(self._owner, self._pool.functions.add_liquidity(1_000 * ETHER, 1), 2_700 * ETHER)

    def to_calm(self) -> str:
        """Close the first day."""
        return self._close_day()

    def to_storm(self) -> str:
        """Go on to the day on which the S&P 500 lost 4.1 percent."""
        while self._future[0].day.isoformat() < CRASH:
            self._close_day()
        return self._close_day()

    def to_next(self) -> str:
        """Close another day."""
        return self._close_day()

    def _close_day(self) -> str:
        before, self._today = self._today, self._future.pop(0)
        record = self._feed.functions.record(self._today.day.toordinal(), self._today.price)
        self._stage.transact(self._owner, record)
        change = 100 * (self._today.price / before.price - 1)
        return f"{self._today.day}: the S&P 500 closes at {self._today.price / 100:,.2f} ({change:+.2f} %)"

    def inputs(self) -> list[int]:
        """The last 22 returns, as the feed computes them."""
        returns: list[int] = self._feed.functions.recent_returns().call()
        return returns

    def question(self, assurance: Assurance) -> Question:
        """A swap of 100 ether."""
        amount = 100 * ETHER
        worth = (
            "on a PROVEN forecast alone" if assurance is Assurance.PROVEN else "on a SIGNED forecast, insured"
        )
        says = f"swaps {amount // ETHER} ether for index tokens, {worth}"
        return Question(self._pool.functions.buy(1, int(assurance)), amount, "trader", says)

    def outcome(self, receipt: TxReceipt) -> str:
        """Forecast and fee."""
        swap = self._pool.events.Swapped().process_receipt(receipt, errors=DISCARD)[0]["args"]
        forecast = self._stage.bundle_of(receipt).outputs[0] / 2**self._scale
        rate, tokens = swap["fee_rate"] / WAD, swap["token_amount"] / ETHER
        return f"forecast {forecast:.2f} % a day: a fee of {100 * rate:.3f} %; {tokens:.2f} tokens bought"

    def lie(self, truth: Tensor) -> Tensor:
        """Dead calm, so that the trader pays the least fee."""
        del truth
        return (1,)

    def make_whole(self, receipt: TxReceipt, truth: Tensor) -> tuple[str, TxReceipt]:
        """Collect the bond for the reserves, beside what the lie cost."""
        swap = self._pool.events.Swapped().process_receipt(receipt, errors=DISCARD)[0]["args"]
        right = self._pool.functions.fee_rate(truth[0] * WAD // 2**self._scale).call()
        harm = swap["ether_amount"] * (right - swap["fee_rate"]) // WAD
        collected = self._stage.transact(self._owner, self._pool.functions.collect())
        amount = self._pool.events.Collected().process_receipt(collected, errors=DISCARD)[0]["args"]["amount"]
        return (
            f"made whole: gets {amount / ETHER:.3f} ether of the bond for {harm / ETHER:.3f} of lost fees",
            collected,
        )

    @property
    def _scale(self) -> int:
        return self._stage.model.manifest.output_scale


class Asker:
    """``Ask``: asks any model, and keeps the answer."""

    title = "A contract that asks your model"
    acts = (
        "An answer that is proven in one transaction",
        "An answer that is signed now and proven later",
        "An operator lies about the answer",
    )

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._owner = stage.account(0)
        self._samples = stage.model.samples()
        self._index = -1
        self._ask = stage.deploy("Ask", self._owner, stage.devnet.settlement.address)

    def to_calm(self) -> str:
        """The first sample."""
        return self.to_next()

    def to_storm(self) -> str:
        """The second sample."""
        return self.to_next()

    def to_next(self) -> str:
        """The next sample; after the last one a copy of the first, a little moved."""
        self._index += 1
        number = self._index % len(self._samples) + 1
        return f"the input is sample {number} of {len(self._samples)}: {_numbers(self.inputs())}"

    def inputs(self) -> list[int]:
        """A sample; each further lap moves its first number by one step of the model's scale."""
        lap, index = divmod(self._index, len(self._samples))
        sample = list(self._samples[index])
        step = WAD // 2**self._stage.model.manifest.input_scale
        sample[0] += lap * step if sample[0] <= 0 else -lap * step
        return sample

    def question(self, assurance: Assurance) -> Question:
        """A question with nothing but an answer at stake."""
        model, inputs = self._stage.model.model_id, self.inputs()
        if assurance is Assurance.PROVEN:
            call = self._ask.functions.ask(model, inputs, int(assurance))
            return Question(call, 0, "user", "asks, and takes a PROVEN answer alone")
        call = self._ask.functions.ask_insured(model, inputs, int(assurance), VALUE_AT_RISK)
        return Question(
            call, 0, "user", f"asks, and takes a SIGNED answer, insured for {VALUE_AT_RISK // ETHER} ether"
        )

    def outcome(self, receipt: TxReceipt) -> str:
        """The stored outputs."""
        answer = self._ask.events.Answered().process_receipt(receipt, errors=DISCARD)[0]["args"]
        return f"the contract stores {_numbers(answer['outputs'])}"

    def lie(self, truth: Tensor) -> Tensor:
        """One more than the truth."""
        one = 2**self._stage.model.manifest.output_scale
        return (truth[0] + one, *truth[1:])

    def make_whole(self, receipt: TxReceipt, truth: Tensor) -> tuple[str, TxReceipt]:
        """Collect the value that was at risk."""
        del receipt
        collected = self._stage.transact(self._owner, self._ask.functions.collect())
        right = [q * WAD // 2**self._stage.model.manifest.output_scale for q in truth]
        return (
            f"made whole: gets {VALUE_AT_RISK / ETHER:.3f} ether of the bond; stores {_numbers(right)} now",
            collected,
        )


def _numbers(values: list[int]) -> str:
    shown = ", ".join(f"{value / WAD:.4f}" for value in values[:SHOWN])
    return f"[{shown}{', ...' if len(values) > SHOWN else ''}]"
