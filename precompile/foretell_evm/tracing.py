"""Running a transaction or a call once more, and watching it: every account, every slot, every step.

Normal execution pays nothing for this: a trace runs on a state class of its own, on a throw-away state.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeGuard

from eth.abc import BlockHeaderAPI, ComputationAPI, MessageAPI, StateAPI, TransactionContextAPI
from eth.exceptions import VMError
from eth_typing import Address

from foretell_evm.blocks import BlockRecord
from foretell_evm.computation import ForetellComputation
from foretell_evm.core import ChainCore
from foretell_evm.execution import Call, Executor, spoofed
from foretell_evm.receipts import ADDRESS as PRECOMPILE_ADDRESS
from foretell_evm.resolution import CheckedAnswer, Replay, Resolution, Source, resolving
from foretell_evm.state import ForetellState
from foretell_evm.vm import ForetellVM


class StepWatcher(Protocol):
    """Told of each step of the EVM."""

    def step_starts(self, computation: ComputationAPI, mnemonic: str) -> None:
        """An instruction is about to run; the program counter is behind it already."""
        ...

    def child_starts(self, computation: ComputationAPI) -> None:
        """The instruction has paid, and hands over to a call or a constructor."""
        ...

    def step_ends(self, computation: ComputationAPI, error: Exception | None) -> None:
        """The instruction has run; ``error`` is why it failed."""
        ...


@dataclass(slots=True)
class Watch:
    """What one execution touched: slots by address, in order of first use. ``steps`` is told of each step."""

    touched: dict[Address, set[int]] = field(default_factory=dict)
    steps: StepWatcher | None = None


@dataclass(frozen=True, slots=True)
class Destruction:
    """A ``SELFDESTRUCT``, and the wei that the account had."""

    account: Address
    heir: Address
    balance: int


class _WatchedOpcode:
    """An instruction of a frame whose state may have a watcher of steps."""

    def __init__(self, opcode: Any) -> None:
        # Some of py-evm's instructions are functions around the one that has a name, to warn of it.
        self._opcode = getattr(opcode, "__wrapped__", opcode)
        self.mnemonic: str = self._opcode.mnemonic

    def __call__(self, computation: ComputationAPI) -> None:
        if isinstance(computation, WatchedComputation):
            computation.starts(self.mnemonic)
        steps = _watch_of(computation.state).steps
        if steps is None:
            self._opcode(computation)
            return
        steps.step_starts(computation, self.mnemonic)
        error: Exception | None = None
        try:
            self._opcode(computation)
        except VMError as failure:  # a halt (STOP, RETURN) is one too, and no failure
            error = failure
            raise
        finally:
            steps.step_ends(computation, error)


class WatchedComputation(ForetellComputation):
    """A frame that tells the watcher of its steps, and remembers what came before what."""

    opcodes: dict[int, Any] = {  # noqa: RUF012 - py-evm declares it on instances
        code: _WatchedOpcode(opcode) for code, opcode in ForetellComputation.opcodes.items()
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instruction = ""
        """Name of the instruction that runs."""
        self.kinds_of_children: list[str] = []
        """The instruction behind each of the frame's calls."""
        self.logs_before_children: list[int] = []
        """How many logs of its own the frame had when each of its calls began."""
        self.destruction: Destruction | None = None

    def starts(self, mnemonic: str) -> None:
        """Note which instruction runs, and what the last of all does."""
        self.instruction = mnemonic
        stack: Any = self._stack
        if mnemonic == "SELFDESTRUCT" and stack.values:
            account, heir = self.msg.storage_address, stack.values[-1]
            number = heir if isinstance(heir, int) else int.from_bytes(heir, "big")
            heir_address = Address((number % 2**160).to_bytes(20, "big"))
            self.destruction = Destruction(account, heir_address, self.state.get_balance(account))

    @classmethod
    def apply_message(
        cls,
        state: StateAPI,
        message: MessageAPI,
        transaction_context: TransactionContextAPI,
        parent_computation: ComputationAPI | None = None,
    ) -> ComputationAPI:
        """Run a call; what the precompile asks of system contracts is the node's work, and not watched."""
        if parent_computation is None and message.sender == PRECOMPILE_ADDRESS and _is_watched(state):
            with _watching(state, None):
                return super().apply_message(state, message, transaction_context)
        return super().apply_message(state, message, transaction_context, parent_computation)

    def apply_child_computation(self, child_msg: MessageAPI) -> ComputationAPI:
        self.kinds_of_children.append(self.instruction)
        self.logs_before_children.append(len(self._log_entries))
        steps = _watch_of(self.state).steps
        if steps is not None:
            steps.child_starts(self)
        return super().apply_child_computation(child_msg)


class WatchedState(ForetellState):
    """A state of the fork that notes in ``watch`` what is touched."""

    computation_class = WatchedComputation
    watch: Watch | None = None

    def mark_address_warm(self, address: Address) -> None:
        if self.watch is not None:
            self.watch.touched.setdefault(address, set())
        super().mark_address_warm(address)

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        if self.watch is not None:
            self.watch.touched.setdefault(address, set()).add(slot)
        super().mark_storage_warm(address, slot)


_UNWATCHED: Final = Watch()


def _watch_of(state: StateAPI) -> Watch:
    return (state.watch if isinstance(state, WatchedState) else None) or _UNWATCHED


@dataclass(slots=True)
class Traced:
    """An execution, and the state around it.

    ``before`` and ``after`` run a function on the state as it was before and after; nothing else may use it.
    """

    computation: ComputationAPI
    state: StateAPI
    _snapshot: Any
    is_undone: bool = False
    """Whether the state is again what it was before."""

    def after(self, read: Callable[[StateAPI], Any]) -> Any:
        """What ``read`` gives on the state afterwards; to be called before :meth:`before`."""
        return read(self.state)

    def before(self, read: Callable[[StateAPI], Any]) -> Any:
        """What ``read`` gives on the state before; the state afterwards is gone then."""
        self.state.revert(self._snapshot)
        self.is_undone = True
        return read(self.state)

    def keep(self) -> None:
        """Be done with it, and leave the state as it is."""
        self.state.commit(self._snapshot)


class Tracer:
    """Runs what was run, or would be, on watched states of one chain."""

    def __init__(self, core: ChainCore) -> None:
        self._core = core
        stock = core.state().computation_class.get_precompiles()
        self.precompiles: frozenset[Address] = frozenset(stock)
        """Addresses that every transaction of this chain may call without loading an account."""
        computation = type("ChainComputation", (WatchedComputation,), {"_precompiles": stock})
        state = type("ChainState", (WatchedState,), {"computation_class": computation})
        vm = type("WatchedVM", (ForetellVM,), {"_state_class": state})
        self._chain_class = type(core.chain).configure("WatchedChain", vm_configuration=((0, vm),))

    def transactions(self, record: BlockRecord, first: int, watch: Callable[[], Watch]) -> Iterator[Traced]:
        """Transactions of a block from place ``first`` on, with the answers of the block's sidecar.

        Each runs when it is asked for, on what those before it left; what was given may be read until then.
        ``watch`` is asked for a fresh watch for each.
        """
        parent = self._core.history.block(record.number - 1)
        vm = self._executor.vm_at(record.header, parent.state_root)
        vm.begin_block()
        state = _watched(vm.state)
        resolution = Resolution(Replay(self._checked(record, parent)))
        for index, transaction in enumerate(record.block.transactions):
            state.lock_changes()
            if index < first:
                with resolving(resolution):
                    state.apply_transaction(transaction)
                continue
            snapshot, watched = state.snapshot(), watch()
            watched.touched[transaction.sender] = set()
            with resolving(resolution), _watching(state, watched):
                computation = state.apply_transaction(transaction)
            traced = Traced(computation, state, snapshot)
            yield traced
            if traced.is_undone:
                with resolving(resolution):
                    state.apply_transaction(transaction)
            else:
                traced.keep()

    def _checked(self, record: BlockRecord, parent: BlockRecord) -> list[CheckedAnswer]:
        state, checker = self._core.state(parent), self._core.checker
        return [CheckedAnswer(each, checker.check_answer(each, state)) for each in record.sidecar.answers]

    def call(
        self, call: Call, header: BlockHeaderAPI, after: BlockRecord, source: Source, watch: Watch
    ) -> Traced:
        """A message, as ``CallRunner.call`` runs it: its answers must be there.

        Raises:
            InferenceNeeded: one is not.
            ValidationError: the message cannot be run.
        """
        state = _watched(self._executor.state_for(header, after, call.overrides))
        transaction = spoofed(state, call)
        with resolving(Resolution(source)), _watching(state, watch):
            snapshot = state.snapshot()
            watch.touched[call.sender] = set()
            return Traced(state.apply_transaction(transaction), state, snapshot)

    @property
    def _executor(self) -> Executor:
        return Executor(self._chain_class(self._core.chain.chaindb.db))


def _watched(state: StateAPI) -> WatchedState:
    assert isinstance(state, WatchedState)
    return state


def _is_watched(state: StateAPI) -> TypeGuard[WatchedState]:
    return isinstance(state, WatchedState) and state.watch is not None


@contextmanager
def _watching(state: WatchedState, watch: Watch | None) -> Iterator[None]:
    before, state.watch = state.watch, watch
    try:
        yield
    finally:
        state.watch = before
