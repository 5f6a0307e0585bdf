"""The relayer as one asyncio program: starts, runs its stages, and stops in two phases."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import structlog
from eth_typing import ChecksumAddress

from foretell_relayer.chain import Chain
from foretell_relayer.clock import Backoff
from foretell_relayer.config import Settings
from foretell_relayer.context import Context
from foretell_relayer.errors import ChainChanged, JournalError, RelayError
from foretell_relayer.housekeeping import Forgetter, LeaseKeeper
from foretell_relayer.keys import Prompt, forbid_core_files, open_signer, require_signer, warn_of_hot_bond
from foretell_relayer.lease import RENEW_EVERY
from foretell_relayer.metrics import Metrics
from foretell_relayer.models.admission import admit
from foretell_relayer.models.proofs import ProofCache
from foretell_relayer.models.store import ModelStore
from foretell_relayer.nodes import connections
from foretell_relayer.operate.bookkeeper import Bookkeeper
from foretell_relayer.operate.clerk import Clerk
from foretell_relayer.operate.health import Monitor
from foretell_relayer.records import Identity
from foretell_relayer.runner import LocalRunner, insecure_models, require_models, require_secure
from foretell_relayer.stages import Decider, Inferrer, ProofMaker
from foretell_relayer.store import Journal
from foretell_relayer.submit.submitter import Submitter
from foretell_relayer.supervisor import Stage, Supervisor
from foretell_relayer.watch.watcher import Watcher
from foretell_relayer.web.app import Page
from foretell_relayer.web.server import serving
from foretell_relayer.work import in_thread
from foretell_relayer.workshop import Workshop

log = structlog.get_logger(__name__)
T = TypeVar("T")
_NODE: Final = "waiting_for_node"


class RelayService:
    """One relayer. ``run`` once; ``stop`` from the same event loop, a second time to be quick.

    Args:
        settings: all of them, checked.
        prompt: asks a person for the keystore's password; ``None`` where nobody can be asked.
        on_ready: called when everything is set up and work begins.
    """

    def __init__(
        self, settings: Settings, *, prompt: Prompt | None = None, on_ready: Callable[[], None] | None = None
    ) -> None:
        self._settings = settings
        self._prompt = prompt
        self._on_ready = on_ready
        self._task: asyncio.Task[None] | None = None
        self._context: Context | None = None
        self._supervisor: Supervisor | None = None
        self._stopped = False
        self._metrics = Metrics()
        self._monitor = Monitor(settings.poll, least_balance=settings.least_balance)

    def stop(self) -> None:
        """Take nothing new, finish what is under way, and end; the second call interrupts that, too."""
        again, self._stopped = self._stopped, True
        if again or self._context is None or self._supervisor is None:
            if self._task is not None:
                self._task.cancel()
            return
        self._context.stop()
        self._supervisor.stop()
        log.info("stopping", grace=self._settings.grace)

    async def run(self) -> None:
        """Work until stopped.

        Raises:
            RelayError: something that does not pass; in an exception group once work has begun.
            ModelError: a model's folder cannot be used.
        """
        self._task = asyncio.current_task()
        forbid_core_files()
        try:
            store = ModelStore(self._settings.models)
            require_models(store)
            with Journal.open(self._settings.where) as journal:
                log.info("journal_opened", journal=journal.place.label, token=journal.take())
                self._monitor.mode = journal.mode()
                page = Page(journal, self._metrics, self._monitor)
                async with (
                    _renewing(journal, self._monitor),
                    serving(page, self._settings.http, self._settings.http_names),
                    self._connected(journal, store) as context,
                ):
                    await self._work(context)
        except asyncio.CancelledError:
            if not self._stopped:
                raise
            log.info("interrupted")

    async def _work(self, context: Context) -> None:
        watcher, submitter = Watcher(context), Submitter(context)

        def failed(stage: str, error: RelayError) -> None:
            watcher.doubt()
            context.monitor.failed(stage, error)

        self._supervisor = Supervisor(context.metrics, failed)
        self._context = context
        clerk = Clerk(context, submitter, self.stop)
        stages: list[Stage] = [
            watcher,
            Decider(context),
            Inferrer(context),
            ProofMaker(context),
            submitter,
            LeaseKeeper(context),
            Forgetter(context),
            Bookkeeper(context),
            clerk,
        ]
        log.info(
            "relaying",
            rpc=self._settings.public_rpc,
            chain_id=context.identity.chain_id,
            settlement=context.identity.settlement,
            operator=context.operator,
            signer=context.signer.address,
            models=["0x" + model_id.hex() for model_id in context.models.manifests()],
        )
        # Orders that were given while nobody worked come before the first decision.
        await clerk.work()
        if self._on_ready is not None:
            self._on_ready()
        await self._supervisor.run(stages, self._settings.grace)

    # ------------------------------------------------------------------------------------------- starting

    @contextlib.asynccontextmanager
    async def _connected(self, journal: Journal, store: ModelStore) -> AsyncIterator[Context]:
        settings = self._settings
        settlement = ChecksumAddress(settings.settlement)  # type: ignore[arg-type]  # validated as one
        chain = connections(settings.rpc_urls, settlement, settings.rpc_timeout)
        try:
            chain_id, genesis = await self._patiently(_NODE, lambda: _identify(chain))
            require_secure(store, chain_id, accept_insecure=settings.accept_insecure_srs)
            self._monitor.insecure = tuple(insecure_models(store))
            self._metrics.insecure.set(len(self._monitor.insecure))
            self._metrics.models.set(len(list(store)))
            signer = await self._patiently(
                "waiting_for_signer", lambda: open_signer(settings, chain_id, self._prompt)
            )
            operator = ChecksumAddress(settings.operator or signer.address)  # type: ignore[arg-type]
            identity = Identity(chain_id, genesis, settlement, operator)
            journal.pin(identity)
            await self._patiently(_NODE, chain.connect)
            registered = await self._patiently(_NODE, lambda: chain.signer_of(operator))
            require_signer(operator, registered, signer)
            warn_of_hot_bond(operator, signer, chain_id)
            with _workshop(store) as local:
                await self._set_up(local, store, chain)
                dispute_bond = await self._patiently(_NODE, chain.dispute_bond)
                self._monitor.least_bond = dispute_bond
                yield Context(
                    settings=settings,
                    identity=identity,
                    chain=chain,
                    journal=journal,
                    models=LocalRunner(local, store),
                    signer=signer,
                    dispute_bond=dispute_bond,
                    metrics=self._metrics,
                    monitor=self._monitor,
                )
        finally:
            await chain.close()

    async def _patiently(self, event: str, ask: Callable[[], Awaitable[T]]) -> T:
        """An answer, as soon as whoever gives it is there."""
        backoff = Backoff()
        while True:
            try:
                return await ask()
            except RelayError as error:
                if not error.retry:
                    raise
                pause = backoff.next()
                log.warning(
                    event,
                    rpc=self._settings.public_rpc,
                    code=error.code,
                    why=error.message,
                    hint=error.hint,
                    again_in=round(pause, 1),
                )
                await asyncio.sleep(pause)

    async def _set_up(self, local: Workshop, store: ModelStore, chain: Chain) -> None:
        """Admit the models, make circuits and keys that are not cached yet, and look the models up on the
        chain.
        """
        for folder in store:
            if not await self._patiently(_NODE, partial(chain.is_open, folder.model_id)):
                log.warning("model_not_open", model=folder.name, model_id="0x" + folder.model_id.hex())
            await in_thread(admit, folder, store.cache)
            await in_thread(local.prepare, [folder.model_id])


@contextlib.asynccontextmanager
async def _renewing(journal: Journal, monitor: Monitor) -> AsyncIterator[None]:
    """Renews the lease while the service starts, which takes as long as the node is down."""

    async def renew() -> None:
        # Whatever keeps it from renewing stops the next write, which reports it.
        with contextlib.suppress(JournalError):
            while True:
                await asyncio.sleep(RENEW_EVERY)
                journal.renew()
                monitor.renewed()

    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()


async def _identify(chain: Chain) -> tuple[int, bytes]:
    """Chain id and hash of the genesis block."""
    chain_id, genesis = await chain.chain_id(), await chain.block(0)
    if genesis is None:
        raise ChainChanged("the node has no genesis block")
    return chain_id, genesis.hash


def _workshop(store: ModelStore) -> Workshop:
    return Workshop(store, proofs=ProofCache(store.cache.root / "proofs"))
