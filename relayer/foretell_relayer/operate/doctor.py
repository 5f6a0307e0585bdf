"""Everything that a relayer needs, looked at before it is missed: each finding says what to mend.

Nothing is changed: the journal is opened only if it is there, and without the lease, so a doctor may look
at a relayer that runs.
"""

import os
import shutil
import stat
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from eth_typing import ChecksumAddress

from foretell_relayer.chain import Head
from foretell_relayer.coded import CodedError
from foretell_relayer.config import Settings, is_development
from foretell_relayer.keys import Prompt, open_signer, require_signer
from foretell_relayer.models import folder as folders
from foretell_relayer.models.check import check_folder
from foretell_relayer.models.folder import CircuitFolder, ModelFolder
from foretell_relayer.models.store import CircuitCache
from foretell_relayer.nodes import Connected, connections
from foretell_relayer.prove import sandbox
from foretell_relayer.signers import Signer
from foretell_relayer.store import Journal
from foretell_relayer.work import in_thread

ETHER: Final = 10**18
LEAST_DISK: Final = 200 << 20
GOOD_DISK: Final = 2 << 30
"""Free bytes below which the journal is in danger, and below which it is time to look."""

AHEAD: Final = 15
BEHIND: Final = 600
"""Seconds by which the newest block may be ahead of this machine's clock, and behind it."""

SHARE: Final = 0.5
"""Share of a model's proof window that a proof may take: another may be waiting, and the chain be slow."""


class Verdict(Enum):
    """How grave a finding is."""

    GOOD = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about a subject, and what to do if it is not good."""

    verdict: Verdict
    subject: str
    text: str
    remedy: str = ""


Found = AsyncIterator[Finding]


class Examination:
    """Looks at one relayer's surroundings.

    Args:
        settings: the relayer's.
        prompt: asks a person for the keystore's password; ``None`` where nobody can be asked.
        prove: whether to prove a sample of each circuit, which takes as long as a proof.
        clock: wall clock, in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        prompt: Prompt | None = None,
        prove: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._prompt = prompt
        self._prove = prove
        self._clock = clock
        self._chain_id: int | None = None

    async def run(self, show: Callable[[Finding], None]) -> None:
        """Look at everything; ``show`` each finding as soon as it is there."""
        settings = self._settings
        settlement = ChecksumAddress(settings.settlement)  # type: ignore[arg-type]  # validated as one
        chain = connections(settings.rpc_urls, settlement, settings.rpc_timeout)
        try:
            looks = (
                self._chain(chain),
                self._disk(),
                self._walls(),
                self._operator(chain),
                self._models(chain),
            )
            for part in looks:
                async for finding in part:
                    show(finding)
        finally:
            await chain.close()

    # ----------------------------------------------------------------------------------------- chain, clock

    async def _chain(self, chain: Connected) -> Found:
        where = self._settings.public_rpc
        try:
            chain_id, head = await chain.chain_id(), await chain.head()
            await chain.connect()
        except CodedError as error:
            yield _failed("chain", error)
            return
        self._chain_id = chain_id
        kind = "a development chain" if is_development(chain_id) else "a chain that is worth something"
        yield _good("chain", f"{where} serves chain {chain_id}, {kind}, at block {head.ref.number}")
        yield _good("settlement", f"{chain.settlement} answers")
        yield self._clocks(head)

    def _clocks(self, head: Head) -> Finding:
        age = self._clock() - head.timestamp
        if age < -AHEAD:
            text = f"the newest block is {-age:.0f} s ahead of this machine's clock"
            remedy = "Set the clock (timedatectl set-ntp true); leases and log lines depend on it."
            # Development chains travel in time on purpose.
            return Finding(self._unless_development(), "clock", text, remedy)
        if age > BEHIND:
            text = f"the newest block is {age:.0f} s old"
            remedy = "Wait until the node has caught up, or set this machine's clock."
            return Finding(self._unless_development(), "clock", text, remedy)
        return _good("clock", f"the newest block is {age:.0f} s old by this machine's clock")

    def _unless_development(self) -> Verdict:
        return Verdict.WARN if self._chain_id is not None and is_development(self._chain_id) else Verdict.FAIL

    # ----------------------------------------------------------------------------------------- disk, journal

    async def _disk(self) -> Found:
        where = self._settings.where
        yield _space("cache", CircuitCache().root)
        if isinstance(where, Path):
            yield _space("disk", where.resolve().parent)
            if not where.is_file():
                yield _good("journal", f"{where} will be made")
                return
        try:
            with Journal.open(where) as opened:
                text = f"{opened.place.label} is whole and holds {sum(opened.counts().values())} requests"
        except CodedError as error:
            yield _failed("journal", error)
        else:
            yield _good("journal", text)

    async def _walls(self) -> Found:
        """Whether children that read models can be kept from files and network."""
        try:
            answer = await in_thread(sandbox.run, "ezkl.version", {})
        except CodedError as error:
            yield _failed("sandbox", error)
            return
        walls = answer.confined
        if walls is not None and walls.files and walls.network:
            yield _good("sandbox", f"EZKL {answer.value}; models see no other file, and no network")
            return
        missing = "Landlock" if walls is None or not walls.files else "seccomp"
        remedy = "Use Linux 5.13 or later with Landlock, and a container that allows both."
        yield _warn("sandbox", f"this system has no {missing}: models are run with less around them", remedy)

    # ----------------------------------------------------------------------------------------- key, bond

    async def _operator(self, chain: Connected) -> Found:
        settings = self._settings
        for path in (settings.keystore, settings.password_file):
            if path is not None and path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
                yield _warn("key", f"others on this machine may read {path}", f"chmod 600 {path}")
        if self._chain_id is None:
            yield _warn("key", "not looked at: the chain does not answer", "Mend the chain first.")
            return
        try:
            signer = await open_signer(settings, self._chain_id, self._prompt)
            operator = ChecksumAddress(settings.operator or signer.address)  # type: ignore[arg-type]
            require_signer(operator, await chain.signer_of(operator), signer)
        except CodedError as error:
            yield _failed("key", error)
            return
        yield _good("key", f"{signer.address} signs for operator {operator}")
        async for finding in self._money(chain, signer, operator):
            yield finding

    async def _money(self, chain: Connected, signer: Signer, operator: ChecksumAddress) -> Found:
        try:
            balance = await chain.balance(signer.address)
            standing, free = await chain.standing(operator), await chain.free_bond(operator)
            dispute_bond = await chain.dispute_bond()
        except CodedError as error:
            yield _failed("bond", error)
            return
        text = f"{standing.bond / ETHER:g} ether, {standing.locked / ETHER:g} locked, {free / ETHER:g} free"
        if free < dispute_bond:
            more = f"a dispute takes {dispute_bond / ETHER:g}"
            remedy = "Raise the bond with OperatorRegistry.add_bond(), or wait until requests settle."
            yield Finding(Verdict.FAIL, "bond", f"{text}; {more}", remedy)
        else:
            yield _good("bond", text)
        text = f"{balance / ETHER:g} ether for gas at {signer.address}"
        if balance < self._settings.least_balance:
            yield Finding(Verdict.FAIL, "gas", text, f"Send ether to {signer.address}.")
        else:
            yield _good("gas", text)

    # ----------------------------------------------------------------------------------------- models

    async def _models(self, chain: Connected) -> Found:
        if not self._settings.models:
            yield Finding(
                Verdict.FAIL, "models", "there is no model to serve", "Give a model's folder with --model."
            )
        for path in self._settings.models:
            try:
                folder = await in_thread(folders.load, path)
            except CodedError as error:
                yield _failed("model", error)
                continue
            yield await self._registered(chain, folder)
            if isinstance(folder, CircuitFolder):
                yield self._setup(folder)
            yield await in_thread(self._works, folder)

    async def _registered(self, chain: Connected, folder: ModelFolder) -> Finding:
        if self._chain_id is None:
            return _warn("model", f"{folder.name} is whole; not looked up: no chain", "Mend the chain first.")
        try:
            is_open = await chain.is_open(folder.model_id)
        except CodedError as error:
            return _failed("model", error)
        if not is_open:
            text = f"{folder.name} (0x{folder.model_id.hex()}) is not registered here, or stopped"
            return _warn("model", text, "Register it with ModelRegistry, or serve another model.")
        return _good("model", f"{folder.name} is whole, registered and open")

    def _setup(self, folder: CircuitFolder) -> Finding:
        srs = folder.metadata.srs
        if not folder.insecure:
            return _good("SRS", f"{folder.name}: {srs.ceremony}")
        text = f"{folder.name}: INSECURE ({srs.ceremony}): whoever made it may be able to forge proofs"
        if self._chain_id is not None and is_development(self._chain_id):
            return _warn("SRS", text, "Fine on a development chain; never elsewhere.")
        remedy = "Make the model again with a public ceremony's file; `foretell srs get` gets it."
        verdict = Verdict.WARN if self._settings.accept_insecure_srs else Verdict.FAIL
        return Finding(verdict, "SRS", text, remedy)

    def _works(self, folder: ModelFolder) -> Finding:
        began = time.monotonic()
        try:
            checked = check_folder(folder.path, lambda _: None, prove=self._prove)
        except CodedError as error:
            return _failed("model", error)
        text = (
            f"{folder.name}: error {checked.error:.3g} of {checked.tolerance:g} on {checked.samples} samples"
        )
        if checked.proving_seconds is None:
            return _good("model", f"{text}, in {time.monotonic() - began:.1f} s")
        window = folder.manifest.proof_window
        text = f"{text}; a proof takes {checked.proving_seconds:.2f} s of a window of {window} s"
        if checked.proving_seconds > SHARE * window:
            remedy = "Use a faster machine, or serve this model without promising proofs."
            return Finding(Verdict.FAIL, "proving", text, remedy)
        return _good("proving", text)


def _space(name: str, folder: Path) -> Finding:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free at {folder}"
    if not os.access(folder, os.W_OK):
        return Finding(Verdict.FAIL, name, f"{folder} is not writable", f"Let this user write to {folder}.")
    if free < LEAST_DISK:
        return Finding(Verdict.FAIL, name, text, "Free some space: a full disk stops the relayer.")
    if free < GOOD_DISK:
        return _warn(name, text, "Free some space soon.")
    return _good(name, text)


def _good(subject: str, text: str) -> Finding:
    return Finding(Verdict.GOOD, subject, text)


def _warn(subject: str, text: str, remedy: str) -> Finding:
    return Finding(Verdict.WARN, subject, text, remedy)


def _failed(subject: str, error: CodedError) -> Finding:
    return Finding(Verdict.FAIL, subject, str(error), error.hint)
