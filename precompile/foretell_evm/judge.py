"""What bonds and evidence are worth at the head, for the inference pool."""

import secrets
from collections.abc import Callable, Iterable, Sequence

from eth.abc import StateAPI
from eth_typing import ChecksumAddress

from foretell_evm.blocks import BlockRecord
from foretell_evm.evidence import EvidenceChecker, contradict
from foretell_evm.system_calls import SystemCallError, active_bond
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.commitment import Commitment, Reveal
from foretell_spec.divergence import SETTLING
from foretell_spec.draw import draw, draw_seed
from foretell_spec.sidecar import Answer


class HeadJudge:
    """Judges evidence and draws operators. Raises ``EvidenceError`` where evidence does not hold.

    The salt of its draws is chosen at random for each run of the node and told to nobody.
    """

    def __init__(
        self,
        checker: EvidenceChecker,
        head: Callable[[], BlockRecord],
        state: Callable[[BlockRecord], StateAPI],
    ) -> None:
        self._checker, self._head, self._state_after = checker, head, state
        self._salt = secrets.token_bytes(32)
        self._bonds: tuple[bytes, dict[ChecksumAddress, int]] = (b"", {})

    def _state(self) -> StateAPI:
        return self._state_after(self._head())

    def draw(self, request_id: bytes, operators: Iterable[ChecksumAddress]) -> Sequence[ChecksumAddress]:
        """Those of the operators that have an active bond, in the order in which they are asked.

        Bonds count as they are after the block whose hash is in the seed: who bonds cannot foresee it.
        """
        head = self._head()
        seed = draw_seed(head.block.hash, self._salt)
        return draw(seed, request_id, self._bonds_after(head, operators))

    def _bonds_after(
        self, head: BlockRecord, operators: Iterable[ChecksumAddress]
    ) -> dict[ChecksumAddress, int]:
        read_at, known = self._bonds
        bonds = dict(known) if read_at == head.state_root else {}
        state = self._state_after(head)
        for operator in operators:
            if operator not in bonds:
                try:
                    bonds[operator] = active_bond(state, operator)
                except SystemCallError:
                    bonds[operator] = 0
        self._bonds = (head.state_root, bonds)
        return {operator: bonds[operator] for operator in operators}

    def check(self, bundle: Bundle) -> Assurance:
        """What a bundle is worth."""
        return self._checker.check(bundle, self._state())

    def check_answer(self, answer: Answer) -> Assurance:
        """What an answer is worth."""
        return self._checker.check_answer(answer, self._state())

    def check_commitment(self, commitment: Commitment) -> None:
        """Whether its operator signed it."""
        self._checker.check_commitment(commitment, self._state())

    def check_reveal(self, reveal: Reveal) -> Assurance:
        """What the revealed bundle is worth, if its operator signed the reveal."""
        return self._checker.check_reveal(reveal, self._state())

    def contradict(self, first: Bundle, second: Bundle) -> bool:
        """Whether at most one of two bundles is right, by the rule of the model's class."""
        manifest = self._checker.manifest(first.model_id, self._state())
        return contradict(manifest, first.outputs, second.outputs)

    def settling(self, model_id: bytes) -> Assurance | None:
        """What counts for a request about which operators differ; ``None`` where they cannot."""
        return SETTLING.get(self._checker.manifest(model_id, self._state()).determinism)
