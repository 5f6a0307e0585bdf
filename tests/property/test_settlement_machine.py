"""Settlement and OperatorRegistry against a model of docs/spec/settlement.md, over orders of steps and times.

The model knows nothing of the contracts' code. For each attempt it says from the written rules whether it is
allowed; after each step the books of both contracts must balance. ``--hypothesis-show-statistics`` shows how
often each step was allowed and refused.
"""

import inspect
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from foretell_spec.bundle import batch_digest, bundle_struct_hash, sign_digest
from foretell_spec.request import NO_SEED
from foretell_spec.tensor import tensor_hash
from tests.kit.chain import CHAIN_ID, RevertedError
from tests.kit.manifest import CHALLENGE_WINDOW, PROOF_WINDOW
from tests.kit.world import (
    BOND,
    CANCEL_DELAY,
    CANCELLED,
    DEADLINE_IN,
    DELIVERED,
    DISPUTE_BOND,
    DISPUTED,
    EXPIRED,
    FINAL,
    INPUTS,
    MIN_BOND,
    OPEN,
    PROVEN,
    SIGNED,
    UNBONDING_PERIOD,
    UNDETERMINED,
    OperatorAccount,
    World,
)

NEXT = {
    OPEN: {OPEN, DELIVERED, FINAL, EXPIRED, CANCELLED},
    DELIVERED: {DELIVERED, DISPUTED, FINAL, EXPIRED},
    DISPUTED: {DISPUTED, FINAL, UNDETERMINED},
}
"""What a status may turn into in one step; from the others nothing leads on."""

TIMES = st.sampled_from(
    [
        1,
        12,
        DEADLINE_IN,
        DEADLINE_IN + 1,
        CANCEL_DELAY,
        PROOF_WINDOW,
        PROOF_WINDOW + 1,
        CHALLENGE_WINDOW,
        UNBONDING_PERIOD,
    ]
)
WHICH = st.integers(0, 7)
WHO = st.integers(0, 2)
OUTPUTS = st.sampled_from([0, 0, 0, 1, 2])
NEVER = 2**64
LIKELY = st.sampled_from([True, True, True, False])


@dataclass
class Expected:
    """One request as the specification sees it."""

    requester: str
    fee: int
    value_at_risk: int
    promised: bool
    deadline: int
    created_at: int
    status: int = OPEN
    deliverer: int = -1
    output: int = 0
    delivered_at: int = 0
    challenger: int = -1
    other_output: int = 0
    disputed_at: int = 0
    raised: int = 0

    @property
    def escrow(self) -> int:
        return self.fee + self.raised

    @property
    def final_by_time(self) -> int:
        """From when on nobody can contest the output any longer; never where a proof decides."""
        if self.status != DELIVERED or self.promised:
            return NEVER
        return self.delivered_at + CHALLENGE_WINDOW

    @property
    def stake(self) -> int:
        return self.value_at_risk + DISPUTE_BOND

    @property
    def live(self) -> bool:
        return self.status in (OPEN, DELIVERED, DISPUTED)


class SettlementMachine(RuleBasedStateMachine):
    """Attempts of everybody, right or wrong, in any order."""

    world = World()

    def __init__(self) -> None:
        super().__init__()
        self.isolated = self.world.chain.isolate()
        self.isolated.__enter__()
        self.operators: list[OperatorAccount] = [self.world.alice, self.world.bob, self.world.carol]
        self.requests: dict[bytes, Expected] = {}
        self.seen: dict[bytes, int] = {}
        self.told_final: dict[bytes, bytes] = {}
        self.batches: list[list[bytes]] = []
        self.fined: set[tuple[bytes, int]] = set()
        self.credit: dict[str, int] = defaultdict(int)
        self.bond = [BOND, BOND, BOND]
        self.unbonding = [0, 0, 0]
        self.unbonding_at = [0, 0, 0]

    def teardown(self) -> None:
        for request_id, r in self.requests.items():
            self.check(request_id, r, self.seen.get(request_id, OPEN))
        self.isolated.__exit__(None, None, None)

    # ------------------------------------------------------------------ the model's own arithmetic

    @property
    def now(self) -> int:
        return self.world.chain.time

    def locked(self, who: int) -> int:
        """What stands behind live requests."""
        delivered = (
            r.stake
            for r in self.requests.values()
            if r.deliverer == who and r.status in (DELIVERED, DISPUTED)
        )
        challenged = (
            DISPUTE_BOND for r in self.requests.values() if r.challenger == who and r.status == DISPUTED
        )
        return sum(delivered) + sum(challenged)

    def free(self, who: int) -> int:
        return max(0, self.bond[who] - self.unbonding[who] - self.locked(who))

    def active(self, who: int) -> bool:
        return self.bond[who] - self.unbonding[who] >= MIN_BOND

    def slash(self, who: int, amount: int, to: str) -> None:
        self.bond[who] -= amount
        self.unbonding[who] = min(self.unbonding[who], self.bond[who])
        self.credit[to] += amount

    def pick(self, which: int, *statuses: int) -> tuple[bytes, Expected]:
        """A request, of one of these statuses if there is one: most attempts should have a chance."""
        likely = [key for key, r in self.requests.items() if r.status in statuses]
        ids = likely or list(self.requests)
        return (key := ids[which % len(ids)]), self.requests[key]

    def outputs(self, number: int) -> tuple[int, ...]:
        return (self.world.right, self.world.wrong, self.world.also_wrong)[number]

    def attempt(self, allowed: bool, call: Any, *args: Any, **kw: Any) -> Any:
        """The contract must agree with the model on whether this is allowed."""
        result, reason = None, ""
        try:
            result = call(*args, **kw)
        except RevertedError as error:
            reason = str(error)
        assert (not reason) == allowed, f"model says {allowed}, contract says {reason!r}"
        event(reason or "allowed: " + inspect.stack()[1].function)
        return result

    # ------------------------------------------------------------------ steps

    @initialize()
    def first_request(self) -> None:
        self.request(1, 10**18, False)

    @rule(fee=st.integers(0, 10**18), value_at_risk=st.integers(0, 60 * 10**18), promised=st.booleans())
    def request(self, fee: int, value_at_risk: int, promised: bool) -> None:
        if len(self.requests) >= 8:
            return
        request_id = self.world.request(
            fee=fee, value_at_risk=value_at_risk, min_assurance=PROVEN if promised else SIGNED
        )
        deadline = self.now + DEADLINE_IN
        self.requests[request_id] = Expected(
            self.world.requester, fee, value_at_risk, promised, deadline, self.now
        )

    @rule(who=WHO, output=OUTPUTS, fee=st.integers(0, 10**18), value_at_risk=st.integers(0, 60 * 10**18))
    def settle_receipt(self, who: int, output: int, fee: int, value_at_risk: int) -> None:
        if len(self.requests) >= 8:
            return
        receipt_id = self.world.infer(self.outputs(output), self.operators[who])
        expected = Expected(
            self.world.requester,
            fee,
            value_at_risk,
            False,
            self.now,
            self.now,
            DELIVERED,
            who,
            output,
            self.now,
        )
        allowed = expected.stake <= self.free(who)
        request_id = self.attempt(
            allowed, self.world.settle_receipt, receipt_id, fee=fee, value_at_risk=value_at_risk
        )
        if allowed:
            self.requests[request_id] = expected

    @rule(which=WHICH, who=WHO, output=OUTPUTS)
    def deliver(self, which: int, who: int, output: int) -> None:
        request_id, r = self.pick(which, OPEN)
        allowed = (
            r.status == OPEN and self.now <= r.deadline and self.active(who) and r.stake <= self.free(who)
        )
        self.attempt(allowed, self.world.deliver, request_id, self.outputs(output), self.operators[who])
        if allowed:
            r.status, r.deliverer, r.output, r.delivered_at = DELIVERED, who, output, self.now

    @rule(which=WHICH, who=WHO, output=OUTPUTS)
    def deliver_proven(self, which: int, who: int, output: int) -> None:
        request_id, r = self.pick(which, OPEN)
        allowed = r.status == OPEN and self.now <= r.deadline and self.active(who) and output == 0
        outputs, operator = self.outputs(output), self.operators[who]
        signature = self.world.sign(operator, request_id, outputs)
        arguments = (request_id, self.world.inputs_q, outputs, operator.address, signature, b"valid proof")
        self.attempt(allowed, self.world.settlement.deliver_proven, *arguments)
        if allowed:
            r.status, r.deliverer = FINAL, who
            self.credit[operator.address] += r.escrow

    @rule(which=WHICH, who=WHO, output=OUTPUTS)
    def challenge(self, which: int, who: int, output: int) -> None:
        request_id, r = self.pick(which, DELIVERED)
        in_time = self.now < r.delivered_at + CHALLENGE_WINDOW and (
            not r.promised or self.now <= r.delivered_at + PROOF_WINDOW
        )
        different = who != r.deliverer and output != r.output
        bonded = self.active(who) and self.free(who) >= DISPUTE_BOND
        allowed = r.status == DELIVERED and in_time and different and bonded
        self.attempt(allowed, self.world.challenge, request_id, self.outputs(output), self.operators[who])
        if allowed:
            r.status, r.challenger, r.other_output, r.disputed_at = DISPUTED, who, output, self.now

    @rule(which=WHICH, output=OUTPUTS)
    def prove(self, which: int, output: int) -> None:
        request_id, r = self.pick(which, DELIVERED, DISPUTED)
        if r.status == DELIVERED:
            end = r.delivered_at + (PROOF_WINDOW if r.promised else CHALLENGE_WINDOW - 1)
            allowed = output == r.output == 0 and self.now <= end
        else:
            allowed = r.status == DISPUTED and output == 0 and self.now <= r.disputed_at + PROOF_WINDOW
        self.attempt(allowed, self.world.prove, request_id, self.outputs(output))
        if allowed:
            self.decide(r)

    def decide(self, r: Expected) -> None:
        """The proven output is number 0."""
        disputed, r.status = r.status == DISPUTED, FINAL
        deliverer = self.operators[r.deliverer].address
        if r.output == 0:
            self.credit[deliverer] += r.escrow
            if disputed:
                self.slash(r.challenger, DISPUTE_BOND, deliverer)
            return
        self.slash(r.deliverer, r.value_at_risk, r.requester)
        if r.other_output == 0:
            challenger = self.operators[r.challenger].address
            self.slash(r.deliverer, DISPUTE_BOND, challenger)
            self.credit[challenger] += r.escrow
        else:
            self.slash(r.deliverer, DISPUTE_BOND, r.requester)
            self.slash(r.challenger, DISPUTE_BOND, r.requester)
            self.credit[r.requester] += r.escrow

    @rule(which=WHICH, delivered=LIKELY)
    def finalise(self, which: int, delivered: bool) -> None:
        request_id, r = self.pick(which, DELIVERED)
        over = self.now >= r.delivered_at + CHALLENGE_WINDOW
        allowed = r.status == DELIVERED and not r.promised and over and delivered
        output = r.output if delivered else (r.output + 1) % 3
        self.attempt(allowed, self.world.settlement.finalise, request_id, self.outputs(output))
        if allowed:
            r.status = FINAL
            self.credit[self.operators[r.deliverer].address] += r.escrow

    @rule(which=WHICH)
    def expire(self, which: int) -> None:
        request_id, r = self.pick(which, OPEN, DELIVERED, DISPUTED)
        allowed = (
            (r.status == OPEN and self.now > r.deadline)
            or (r.status == DELIVERED and r.promised and self.now > r.delivered_at + PROOF_WINDOW)
            or (r.status == DISPUTED and self.now > r.disputed_at + PROOF_WINDOW)
        )
        self.attempt(allowed, self.world.settlement.expire, request_id)
        if not allowed:
            return
        was, r.status = r.status, UNDETERMINED if r.status == DISPUTED else EXPIRED
        self.credit[r.requester] += r.escrow
        if was != OPEN:
            self.slash(r.deliverer, r.value_at_risk, r.requester)
            other = self.operators[r.challenger].address if was == DISPUTED else r.requester
            self.slash(r.deliverer, DISPUTE_BOND, other)

    @rule(which=WHICH, amount=st.integers(0, 10**18))
    def raise_fee(self, which: int, amount: int) -> None:
        request_id, r = self.pick(which, OPEN)
        allowed = r.status == OPEN and self.now <= r.deadline and amount > 0
        call = self.world.settlement.raise_fee
        self.attempt(allowed, call, request_id, amount, sender=self.world.requester, value=amount)
        if allowed:
            r.raised += amount

    @rule(which=WHICH, who=WHO, first=OUTPUTS, second=OUTPUTS)
    def equivocate(self, which: int, who: int, first: int, second: int) -> None:
        request_id, r = self.pick(which, OPEN, DELIVERED)
        operator, reporter = self.operators[who], self.operators[(who + 1) % 3].address
        unlocked = self.bond[who] - self.locked(who)
        allowed = first != second and (request_id, who) not in self.fined and unlocked > 0
        statements = [self.statement(request_id, operator, self.outputs(each)) for each in (first, second)]
        call = self.world.settlement.equivocate
        self.attempt(allowed, call, request_id, operator.address, *statements, sender=reporter)
        if allowed:
            fine = min(DISPUTE_BOND, unlocked)
            self.fined.add((request_id, who))
            self.slash(who, fine - fine // 2, r.requester)
            self.slash(who, fine // 2, reporter)

    def statement(
        self, request_id: bytes, operator: OperatorAccount, outputs: tuple[int, ...]
    ) -> dict[str, Any]:
        signature = self.world.sign(operator, request_id, outputs)
        return {
            "output_hash": tensor_hash(outputs), "struct_hashes": [], "position": 0, "signature": signature,
        }  # fmt: skip

    # ------------------------------------------------------------------ batches

    @rule(fee=st.integers(0, 10**18), value_at_risk=st.integers(0, 30 * 10**18), promised=st.booleans())
    def request_many(self, fee: int, value_at_risk: int, promised: bool) -> None:
        if len(self.requests) >= 7:
            return
        policy = self.world.policy(value_at_risk=value_at_risk, min_assurance=PROVEN if promised else SIGNED)
        call = (self.world.model_id, INPUTS * 2, 2, policy, fee)
        ids = self.world.settlement.request_many(*call, sender=self.world.requester, value=2 * fee).value
        self.batches.append(ids)
        for request_id in ids:
            self.requests[request_id] = Expected(
                self.world.requester, fee, value_at_risk, promised, self.now + DEADLINE_IN, self.now
            )

    @precondition(lambda self: self.batches)
    @rule(which=WHICH, who=WHO, output=OUTPUTS)
    def deliver_many(self, which: int, who: int, output: int) -> None:
        ids = self.batches[which % len(self.batches)]
        operator, outputs = self.operators[who], self.outputs(output)
        waiting = [r for r in map(self.requests.__getitem__, ids) if r.status == OPEN]
        stake = sum(r.stake for r in waiting)
        in_time = all(self.now <= r.deadline for r in waiting)
        allowed = bool(waiting) and in_time and self.active(who) and stake <= self.free(who)
        hashes = [self.struct_hash(each, operator, outputs) for each in ids]
        digest = batch_digest(CHAIN_ID, self.world.settlement.address, hashes)
        signature = sign_digest(operator.key, digest)
        call = (self.first(ids), [tensor_hash(self.world.inputs_q)] * 2, outputs * 2, operator.address)
        self.attempt(allowed, self.world.settlement.deliver_many, *call, signature)
        if allowed:
            for r in waiting:
                r.status, r.deliverer, r.output, r.delivered_at = DELIVERED, who, output, self.now

    @precondition(lambda self: self.batches)
    @rule(which=WHICH)
    def finalise_many(self, which: int) -> None:
        ids = self.batches[which % len(self.batches)]
        model = self.requests[ids[0]]
        like = [
            r
            for r in map(self.requests.__getitem__, ids)
            if r.status == DELIVERED
            and (r.deliverer, r.output, r.delivered_at, r.raised)
            == (model.deliverer, model.output, model.delivered_at, model.raised)
        ]
        over = self.now >= model.delivered_at + CHALLENGE_WINDOW
        allowed = bool(like) and over and not model.promised
        delivery = self.world.settlement.delivery_struct(ids[0]).words()
        outputs = self.outputs(model.output) * 2
        call = (self.first(ids), [tensor_hash(self.world.inputs_q)] * 2, delivery, outputs)
        self.attempt(allowed, self.world.settlement.finalise_many, *call)
        if allowed:
            for r in like:
                r.status = FINAL
                self.credit[self.operators[r.deliverer].address] += r.escrow

    def first(self, ids: list[bytes]) -> tuple[Any, ...]:
        return self.world.settlement.request_struct(ids[0]).words()

    def struct_hash(self, request_id: bytes, operator: OperatorAccount, outputs: tuple[int, ...]) -> bytes:
        input_hash, output_hash = tensor_hash(self.world.inputs_q), tensor_hash(outputs)
        return bundle_struct_hash(
            request_id, self.world.model_id, input_hash, output_hash, NO_SEED, operator.address
        )

    @rule(which=WHICH, by_requester=LIKELY)
    def cancel(self, which: int, by_requester: bool) -> None:
        request_id, r = self.pick(which, OPEN)
        allowed = r.status == OPEN and by_requester and self.now >= r.created_at + CANCEL_DELAY
        sender = self.world.requester if by_requester else self.world.stranger
        self.attempt(allowed, self.world.settlement.cancel, request_id, sender=sender)
        if allowed:
            r.status = CANCELLED
            self.credit[r.requester] += r.escrow

    @rule(who=st.integers(-1, 2))
    def withdraw(self, who: int) -> None:
        account = self.world.requester if who < 0 else self.operators[who].address
        before = self.world.chain.balance(account)
        self.attempt(self.credit[account] > 0, self.world.settlement.withdraw, sender=account)
        assert self.world.chain.balance(account) == before + self.credit[account]
        self.credit[account] = 0

    @rule(who=WHO, amount=st.integers(1, BOND + 1))
    def begin_unbond(self, who: int, amount: int) -> None:
        allowed = amount <= self.bond[who] - self.unbonding[who]
        self.attempt(allowed, self.world.operators.begin_unbond, amount, sender=self.operators[who].address)
        if allowed:
            self.unbonding[who] += amount
            self.unbonding_at[who] = self.now + UNBONDING_PERIOD

    @precondition(lambda self: any(self.unbonding))
    @rule(who=WHO)
    def finish_unbond(self, who: int) -> None:
        amount = self.unbonding[who]
        in_time = self.now >= self.unbonding_at[who]
        allowed = amount > 0 and in_time and self.bond[who] - amount >= self.locked(who)
        self.attempt(allowed, self.world.operators.finish_unbond, sender=self.operators[who].address)
        if allowed:
            self.bond[who] -= amount
            self.unbonding[who] = 0

    @rule(who=WHO, amount=st.integers(0, 10**18))
    def add_bond(self, who: int, amount: int) -> None:
        self.world.operators.add_bond(sender=self.operators[who].address, value=amount)
        self.bond[who] += amount

    @rule(which=WHICH, offset=st.integers(-1, 1))
    def time_reaches_a_bound(self, which: int, offset: int) -> None:
        """The second before, of, or after the next bound that matters to a live request."""
        _, r = self.pick(which, OPEN, DELIVERED, DISPUTED)
        delivered = r.delivered_at + (PROOF_WINDOW if r.promised else CHALLENGE_WINDOW)
        bounds = {OPEN: r.deadline, DELIVERED: delivered, DISPUTED: r.disputed_at + PROOF_WINDOW}
        target = bounds.get(r.status, r.created_at + CANCEL_DELAY) + offset
        if target > self.now:
            self.world.chain.travel_to(target)

    @rule(seconds=TIMES)
    def time_passes(self, seconds: int) -> None:
        self.world.chain.mine(seconds)

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def escrow_and_credits_are_the_balance(self) -> None:
        escrow = sum(r.escrow for r in self.requests.values() if r.live)
        accounts = [self.world.requester, *(operator.address for operator in self.operators)]
        owed = [self.world.credit(account) for account in accounts]
        assert owed == [self.credit[account] for account in accounts]
        assert self.world.chain.balance(self.world.settlement.address) == escrow + sum(owed)

    @invariant()
    def bonds_are_the_balance(self) -> None:
        records = [self.world.bond_of(operator) for operator in self.operators]
        assert [record.bond for record in records] == self.bond
        assert [record.unbonding for record in records] == self.unbonding
        assert self.world.chain.balance(self.world.operators.address) == sum(self.bond)

    @invariant()
    def locks_are_those_of_live_requests(self) -> None:
        for who, operator in enumerate(self.operators):
            record = self.world.bond_of(operator)
            assert record.locked == self.locked(who) <= record.bond
            assert self.world.operators.free_bond(operator.address) == self.free(who)

    @invariant()
    def statuses_only_move_along_the_graph(self) -> None:
        for request_id, r in self.requests.items():
            before = self.seen.get(request_id, OPEN)
            if before in NEXT:
                self.check(request_id, r, before)

    def check(self, request_id: bytes, r: Expected, before: int) -> None:
        stored = self.world.settlement.request_of(request_id)
        assert stored.status == r.status
        assert stored.status == before or stored.status in NEXT.get(before, set())
        assert (stored.assurance > 0) == (r.status in (DELIVERED, FINAL))
        assert (stored.output_hash != b"\0" * 32) == (r.status in (DELIVERED, DISPUTED, FINAL))
        self.seen[request_id] = stored.status

    @invariant()
    def what_reads_final_stays_final(self) -> None:
        for request_id, r in self.requests.items():
            shown = self.world.status(request_id)
            assert shown == (FINAL if self.now >= r.final_by_time else r.status)
            if shown == FINAL and self.seen.get(request_id) != FINAL:
                stored = self.world.settlement.request_of(request_id)
                assert self.told_final.setdefault(request_id, stored.output_hash) == stored.output_hash
            assert shown == FINAL or request_id not in self.told_final


TestSettlementMachine = SettlementMachine.TestCase
TestSettlementMachine.settings = settings(stateful_step_count=30, deadline=None)
