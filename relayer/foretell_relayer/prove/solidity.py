"""EZKL's verifier from Solidity source to bytecode, by npm's ``solc`` under Node. Nothing is downloaded.

The output depends on the source and the compiler's version alone: optimiser, EVM version and metadata are
fixed.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_typing import ChecksumAddress
from eth_utils import keccak

from foretell_relayer.prove import reusable
from foretell_relayer.prove.errors import CompilerFailed, NoCompiler
from foretell_relayer.prove.sandbox import MESSAGE_LIMIT, environment, start, talk

CONTRACT: Final = "Halo2Verifier"
MINIMUM: Final = (0, 8, 20)
EIP170_LIMIT: Final = 24576
"""Largest runtime code, in bytes, that a chain accepts."""

SECONDS: Final = 120

# The answer goes out in one write, and nothing exits early: that would cut a pipe short.
_PROGRAM: Final = """
const solc = require(process.argv[1]);
const input = require("fs").readFileSync(0, "utf8");
process.stdout.write(JSON.stringify({version: solc.version(), output: JSON.parse(solc.compile(input))}));
"""


@dataclass(frozen=True, slots=True)
class CompiledVerifier:
    """A verifier contract: creation ``bytecode``, deployed ``runtime``, and what they were made of.

    ``vka`` is the circuit's key where ``contract`` is the reusable verifier, and empty elsewhere.
    """

    contract: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes
    solidity_hash: bytes
    solc: str
    vka: tuple[bytes, ...] = ()

    @property
    def code_hash(self) -> bytes:
        """What ``EXTCODEHASH`` gives for the contract that a manifest pins."""
        own = keccak(self.runtime)
        return reusable.circuit_code_hash(own, self.vka) if self.vka else own

    @property
    def fits(self) -> bool:
        """Whether a chain accepts it (EIP-170)."""
        return len(self.runtime) <= EIP170_LIMIT and len(self.vka) <= reusable.MAX_KEY_WORDS

    def deploy(
        self,
        create: Callable[[bytes], ChecksumAddress],
        send: Callable[[ChecksumAddress, bytes], object],
    ) -> ChecksumAddress:
        """Put it on a chain.

        Args:
            create: sends creation code, and gives the address of what it created.
            send: sends calldata to an address.

        Returns:
            The address of the contract whose code a manifest pins.
        """
        verifier = create(self.bytecode)
        if not self.vka:
            return verifier
        send(verifier, reusable.registration(self.vka))
        store = create(reusable.store_creation(self.vka))
        return create(reusable.circuit_creation(keccak(self.runtime), self.vka, verifier, store))


def compile_verifier(source: str, contract: str = CONTRACT) -> CompiledVerifier:
    """Compile a verifier that EZKL wrote; a reusable one still lacks its ``vka``.

    Raises:
        NoCompiler: no Node, or no ``solc`` of 0.8.20 or newer in a ``node_modules`` folder.
        CompilerFailed: the compiler reports an error.
    """
    answer = _call_solc(_standard_json(source, contract))
    version = str(answer["version"]).split("+")[0]
    if tuple(int(part) for part in version.split(".")) < MINIMUM:
        raise NoCompiler(f"solc {version} is too old; run `npm install solc@0.8.30`")
    output = answer["output"]
    errors = [e["formattedMessage"] for e in output.get("errors", []) if e["severity"] == "error"]
    if errors:
        raise CompilerFailed(f"solc {version}: {errors[0][:MESSAGE_LIMIT].strip()}")
    compiled = output["contracts"]["verifier.sol"][contract]
    return CompiledVerifier(
        contract=contract,
        abi=compiled["abi"],
        bytecode=bytes.fromhex(compiled["evm"]["bytecode"]["object"]),
        runtime=bytes.fromhex(compiled["evm"]["deployedBytecode"]["object"]),
        solidity_hash=keccak(text=source),
        solc=version,
    )


def _standard_json(source: str, contract: str) -> Mapping[str, Any]:
    return {
        "language": "Solidity",
        "sources": {"verifier.sol": {"content": source}},
        "settings": {
            "optimizer": {"enabled": True, "runs": 200},
            "evmVersion": "shanghai",
            "metadata": {"bytecodeHash": "none", "appendCBOR": False},
            "outputSelection": {
                "*": {contract: ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}
            },
        },
    }


def _call_solc(request: Mapping[str, Any]) -> Any:
    node = shutil.which("node")
    if node is None:
        raise NoCompiler("Node is needed to compile the verifier contract; install Node 20 or newer")
    command = [node, "-e", _PROGRAM, str(find_solc())]
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        with start(command, environment(scratch), cwd=scratch) as child:
            out, err = talk(child, json.dumps(request).encode(), SECONDS, "solc")
        if child.returncode != 0:
            raise CompilerFailed(f"solc did not run: {err[-MESSAGE_LIMIT:].decode(errors='replace').strip()}")
    return json.loads(out)


def find_solc() -> Path:
    """Folder of npm's ``solc``: ``$FORETELL_SOLC``, or the nearest ``node_modules`` from here upwards.

    Raises:
        NoCompiler: there is none.
    """
    for folder in _candidates():
        if (folder / "package.json").is_file():
            return folder.resolve()
    raise NoCompiler(
        "npm's solc is needed to compile the verifier contract; run `npm install solc@0.8.30` in this folder"
    )


def _candidates() -> Iterator[Path]:
    chosen = os.environ.get("FORETELL_SOLC")
    if chosen:
        yield Path(chosen)
        return
    for start_folder in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start_folder, *start_folder.parents):
            yield folder / "node_modules" / "solc"
