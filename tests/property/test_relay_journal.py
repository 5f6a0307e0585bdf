"""The journal as a state machine: nonces have no gaps and no doubles, and nothing written is lost."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from foretell_relayer.core import NEVER, Step, StepKind
from foretell_relayer.records import PENDING, UNRESOLVED, AttemptState, BlockRef
from foretell_relayer.signers import SignedTransaction
from foretell_relayer.store import Journal
from tests.kit.relay import make_found, request_id

FEES = (10, 1)
NUMBERS = st.integers(0, 5)


class JournalMachine(RuleBasedStateMachine):
    """What the model knows: the requests, the fate of each transaction, and the chain's nonce."""

    attempts = Bundle("attempts")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="foretell-test-")
        self.path = Path(self.folder.name) / "journal.sqlite3"
        self.now = 0.0
        self.journal = None
        self.token = 0
        self.chain_nonce = 0
        self.requests = {}
        self.fates = {}
        self.salt = 0

    @initialize()
    def open(self):
        self.journal = Journal.open(self.path, lambda: self.now)
        token = self.journal.take()
        assert token > self.token
        self.token = token

    @rule()
    def restart(self):
        self.journal.close()
        self.open()
        assert {row.request_id for row in self.journal.due(NEVER)} == set(self.requests)

    @rule(number=NUMBERS, block=st.integers(1, 50))
    def see(self, number, block):
        found = make_found(number, block_number=block)
        self.journal.record([found], [], BlockRef(block, bytes([block]) * 32))
        self.requests.setdefault(found.request_id, None)

    @rule(number=NUMBERS)
    def answer(self, number):
        if request_id(number) in self.requests:
            self.journal.answered(request_id(number), (number, -number))
            self.requests[request_id(number)] = (number, -number)

    @rule(number=NUMBERS, kind=st.sampled_from([StepKind.DELIVER, StepKind.PROVE, StepKind.WAIT]))
    def decide(self, number, kind):
        row = self.journal.get(request_id(number))
        if row is not None:
            self.journal.decide(row, Step(kind, "why"))

    @rule(number=NUMBERS, target=attempts)
    def sign(self, number):
        if request_id(number) not in self.requests:
            number = None
        if number is None:
            return None
        self.salt += 1

        def sign(nonce):
            text = f"{nonce} {self.salt}".encode()
            return SignedTransaction(text.ljust(32), text)

        taken = {attempt.nonce for attempt, state in self.fates.values() if state in UNRESOLVED}
        reserved = self.journal.reserve(request_id(number), "deliver", self.chain_nonce, FEES)
        attempt = self.journal.signed(reserved, sign(reserved.nonce))
        free = next(n for n in range(self.chain_nonce, self.chain_nonce + 999) if n not in taken)
        assert attempt.nonce == free
        self.fates[attempt.tx_hash] = (attempt, AttemptState.SIGNED)
        return attempt

    @rule(number=NUMBERS)
    def reserve_and_fail(self, number):
        if request_id(number) in self.requests:
            self.journal.reserve(request_id(number), "deliver", self.chain_nonce, FEES)
            self.journal.drop_reservations()

    @rule(attempt=attempts, state=st.sampled_from([AttemptState.SENT, AttemptState.INCLUDED]))
    def learn(self, attempt, state):
        if attempt is not None and self.fates[attempt.tx_hash][1] in UNRESOLVED:
            self.journal.mark(attempt, state, 7 if state is AttemptState.INCLUDED else None)
            self.fates[attempt.tx_hash] = (attempt, state)

    @rule(
        attempt=consumes(attempts),
        state=st.sampled_from([AttemptState.CONFIRMED, AttemptState.REFUSED, AttemptState.LOST]),
    )
    def end(self, attempt, state):
        if attempt is not None:
            self.journal.mark(attempt, state)
            self.fates[attempt.tx_hash] = (attempt, state)
            if state is AttemptState.CONFIRMED:
                self.chain_nonce = max(self.chain_nonce, attempt.nonce + 1)

    @invariant()
    def nothing_is_lost(self):
        if self.journal is None:
            return
        assert {row.request_id: row.outputs for row in self.journal.rows()} == self.requests
        unresolved = {attempt.tx_hash: attempt.state for attempt in self.journal.unresolved()}
        expected = {key: state for key, (_, state) in self.fates.items() if state in UNRESOLVED}
        assert unresolved == expected

    @invariant()
    def no_nonce_is_used_twice(self):
        if self.journal is None:
            return
        nonces = [attempt.nonce for attempt in self.journal.unresolved()]
        assert len(nonces) == len(set(nonces))

    @invariant()
    def pending_transactions_are_known(self):
        if self.journal is None:
            return
        for each in self.requests:
            mine = [state for attempt, state in self.fates.values() if attempt.request_id == each]
            assert self.journal.has_pending(each) == any(state in PENDING for state in mine)

    def teardown(self):
        if self.journal is not None:
            self.journal.close()
        self.folder.cleanup()


class TestJournal(JournalMachine.TestCase):
    settings = settings(
        max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
