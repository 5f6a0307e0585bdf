"""Structured reference strings: where a circuit's proofs get their soundness, and lose it.

Whoever knows the secret of a string can prove anything. A string that many parties made together, each of
whom could forget its part, is safe as long as one of them did; one that a single machine generated is safe
for nobody but its maker. Two files cannot be told apart by looking, so a file counts as a public ceremony's
only if its SHA-256 is in ``PUBLIC``.

The file is EZKL's (halo2's raw form): ``k`` as 4 bytes, ``2**k`` points of G1 (powers of the secret), as many
of the Lagrange basis, and two points of G2; a coordinate is 32 bytes, little-endian, in Montgomery form.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyrevm

from foretell_relayer.models.errors import BadSrs
from foretell_relayer.prove.errors import ProveError
from foretell_relayer.prove.limits import GIB, Limits
from foretell_relayer.prove.sandbox import run

CEREMONY: Final = "perpetual-powers-of-tau"
INSECURE: Final = "insecure-local"
"""Marks a string that one machine generated: whoever kept its secret can prove anything."""

UNVERIFIED: Final = "unverified: "
"""Begins the name of a ceremony that nobody here has checked."""

PUBLIC: Final[Mapping[int, str]] = {
    7: "e65f95150519fe01c2bedf8f832f5249822ef84c9c017307419e10374ff9eeb1",
    8: "446092fd1d6030e5bb2f2a8368267d5ed0fbdb6a766f6c5e4a4841827ad3106f",
    9: "493d088951882ad81af11e08c791a38a37c0ffff14578cf2c7fb9b7bca654d8b",
    10: "9705d450e5dfd06adb673705f7bc34418ec86339203198beceb2ae7f1ffefedb",
    11: "257fa566ed9bc0767d3e63e92b5e966829fa3347d320a32055dc31ee7d33f8a4",
    12: "28b151069f41abc121baa6d2eaa8f9e4c4d8326ddbefee2bd9c0776b80ac6fad",
    13: "d5d94bb25bdc024f649213593027d861042ee807cafd94b49b54f1663f8f267d",
    14: "c09129f064c08ecb07ea3689a2247dcc177de6837e7d2f5f946e30453abbccef",
    15: "90807800a1c3b248a452e1732c45ee5099f38b737356f5542c0584ec9c3ebb45",
    16: "2a1a494630e71bc026dd5c0eab4c1b9a5dbc656228c1f0d48f5dbd3909b161d3",
    17: "41509f380362a8d14401c5ae92073154922fe23e45459ce6f696f58607655db7",
    18: "d0148475717a2ba269784a178cb0ab617bc77f16c58d4a3cbdfe785b591c7034",
    19: "d1a1655b4366a766d1578beb257849a92bf91cb1358c1a2c37ab180c5d3a204d",
    20: "54ef75911da76d7a6b7ea341998aaf66cb06c679c53e0a88a4fe070dd3add963",
    21: "486e044cf98704e07f41137d2b89698dc03d1fbf34d13b60902fea19a6013b4b",
    22: "1ee9b4396db3e4e2516ac5016626ab6ba967f091d5d23afbdb7df122a0bb9d0c",
}
"""SHA-256 of the files that EZKL publishes, made of the perpetual powers of tau, by ``k``. EZKL 23 carries
the same hashes, and a test compares them."""

FETCH: Final = Limits(seconds=1800, memory=4 * GIB, file=1 * GIB)
_HEAD, _POINT, _TWIST = 4, 64, 128
_SAMPLES: Final = 16
_FIELD: Final = 21888242871839275222246405745257275088696311157297823662689037894645226208583
_FROM_MONTGOMERY: Final = pow(1 << 256, -1, _FIELD)
_GENERATOR: Final = (1, 2)
_TWIST_GENERATOR: Final = (
    0x1800DEEF121F1E76426A00665E5C4479674322D4F75EDADD46DEBD5CD992F6ED,
    0x198E9393920D483A7260BFB731FB5D25F1AA493335A9E71297E485B7AEF312C2,
    0x12C85EA5DB8C6DEB4AAB71808DCB408FE3D1E7690C43D37B4CE6CC0166FA7DAA,
    0x090689D0585FF075EC9E99AD690C3395BC4B313370B38EF355ACDADCD122975B,
)
_PAIRING: Final = "0x0000000000000000000000000000000000000008"
_CALLER: Final = "0x0000000000000000000000000000000000000001"


@dataclass(frozen=True, slots=True)
class Srs:
    """A file that was looked at: of ``2 ** k`` rows; ``ceremony`` is what it counts as."""

    path: Path
    k: int
    sha256: str

    @property
    def is_public(self) -> bool:
        """Whether it is a public ceremony's."""
        return PUBLIC.get(self.k) == self.sha256

    @property
    def ceremony(self) -> str:
        """What a manifest says of it where its maker says nothing."""
        return CEREMONY if self.is_public else INSECURE


def is_public(path: Path) -> bool:
    """Whether the file is, byte for byte, one of a public ceremony."""
    try:
        with path.open("rb") as file:
            k = int.from_bytes(file.read(_HEAD), "little")
    except OSError:
        return False
    return k in PUBLIC and _sha256(path) == PUBLIC[k]


def inspect(path: Path, *, expected: str | None = None) -> Srs:
    """Check a file: its hash where one is ``expected`` (SHA-256, hexadecimal), its length, its generators,
    and that samples of its points are powers of one secret.

    Raises:
        BadSrs: it is none, or another one than expected.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            k = int.from_bytes(file.read(_HEAD), "little")
    except OSError as error:
        raise BadSrs(f"{path}: cannot read the SRS ({error.strerror})") from None
    if not 1 <= k <= 28 or size != _HEAD + 2 * _TWIST + 2 * _POINT * 2**k:
        raise BadSrs(f"{path}: not an SRS, or a truncated one")
    found = Srs(path, k, _sha256(path))
    if expected is not None and found.sha256 != expected.lower().removeprefix("0x"):
        raise BadSrs(f"{path}: its SHA-256 is {found.sha256}, not the expected {expected}")
    _check_points(path, k)
    return found


def fetch(k: int, out: Path) -> Srs:
    """Download the public file of ``2 ** k`` rows by EZKL, check it, and put it at ``out``.

    Raises:
        BadSrs: it cannot be had, or is not the one that is known.
    """
    if k not in PUBLIC:
        raise BadSrs(
            f"there is no known public SRS of 2**{k} rows; from {min(PUBLIC)} to {max(PUBLIC)} there is"
        )
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        file = Path(scratch) / "kzg.srs"
        try:
            run("ezkl.get_srs", {"srs": str(file), "logrows": k}, FETCH, writes=[file.parent], network=True)
        except ProveError as error:
            raise BadSrs(f"EZKL could not download the SRS ({error.message})") from None
        return take(file, out, expected=PUBLIC[k])


def take(source: Path, out: Path, *, expected: str) -> Srs:
    """Check a file against its SHA-256 and put a copy at ``out``.

    Raises:
        BadSrs: it is another one, or cannot be copied.
    """
    inspect(source, expected=expected)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, out)
    except OSError as error:
        raise BadSrs(f"{out}: {error.strerror}") from None
    return inspect(out, expected=expected)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_points(path: Path, k: int) -> None:
    """The file's generators are the curve's, and each sampled point times the secret is the next one."""
    rows = 2**k
    with path.open("rb") as file:

        def read(at: int, coordinates: int) -> tuple[int, ...]:
            file.seek(at)
            return _numbers(file.read(32 * coordinates))

        powers = [read(_HEAD + _POINT * i, 2) for i in (0, 1)]
        twist, secret = (read(_HEAD + 2 * _POINT * rows + _TWIST * i, 4) for i in (0, 1))
        if powers[0] != _GENERATOR or twist != _TWIST_GENERATOR:
            raise BadSrs(f"{path}: its generators are not those of BN254")
        if secret == twist or powers[1] == powers[0]:
            raise BadSrs(f"{path}: its secret is 1, which everybody knows")
        for index in sorted({(rows - 2) * i // (_SAMPLES - 1) for i in range(_SAMPLES)}):
            first = read(_HEAD + _POINT * index, 2)
            second = read(_HEAD + _POINT * (index + 1), 2)
            if not _pairs(second, twist, first, secret):
                raise BadSrs(f"{path}: point {index + 1} is not the secret times point {index}")


def _numbers(data: bytes) -> tuple[int, ...]:
    words = [int.from_bytes(data[at : at + 32], "little") for at in range(0, len(data), 32)]
    return tuple(word * _FROM_MONTGOMERY % _FIELD for word in words)


def _pairs(
    left: Sequence[int], left_twist: Sequence[int], right: Sequence[int], right_twist: Sequence[int]
) -> bool:
    """Whether e(left, left_twist) = e(right, right_twist), by the precompile that chains verify with."""
    negated = (right[0], -right[1] % _FIELD)
    words = [*left, *_precompile_order(left_twist), *negated, *_precompile_order(right_twist)]
    data = b"".join(word.to_bytes(32, "big") for word in words)
    try:
        return int.from_bytes(pyrevm.EVM().message_call(_CALLER, _PAIRING, calldata=data), "big") == 1
    except RuntimeError:  # a point that is not on the curve
        return False


def _precompile_order(twist: Sequence[int]) -> tuple[int, ...]:
    """The imaginary part comes first there."""
    return twist[1], twist[0], twist[3], twist[2]
