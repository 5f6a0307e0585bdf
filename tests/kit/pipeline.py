"""A fork with ``mocks/Pipeline.vy``: transactions that ask in every way."""

from typing import Any

from eth_abi import encode

from foretell_evm.config import ChainConfig, Mining, PoolLimits
from foretell_relayer.prove.solidity import compile_verifier
from foretell_spec.abi import INFERRED_TOPIC
from foretell_spec.tensor import WAD
from tests.kit.compiled import CONTRACTS, compiled
from tests.kit.fork import GAS, GENESIS_TIME, INPUTS, Fork

BIG_GAS = 12_000_000


class PipelineFork(Fork):
    """The fork, an operator's model, and a deployed ``Pipeline``."""

    def __init__(self, limits: PoolLimits | None = None, mining: Mining = Mining.AUTO) -> None:
        super().__init__(ChainConfig(genesis_time=GENESIS_TIME, limits=limits or PoolLimits()))
        self.artifact = compiled("mocks/Pipeline.vy")
        self.pipeline = self.deploy_pipeline()
        if mining is not Mining.AUTO:
            self.chain.set_automine(enabled=False)

    def creation(self, *, asks: bool) -> bytes:
        """Creation code whose constructor asks, or not."""
        arguments = encode(["bytes32", "int256[]", "bool"], [self.model_id, list(INPUTS), asks])
        return bytes.fromhex(self.artifact["bytecode"][2:]) + arguments

    def deploy_pipeline(self) -> Any:
        """Another ``Pipeline`` that has asked nothing."""
        address = self.create(self.creation(asks=False))
        return self.w3.eth.contract(address, abi=self.artifact["abi"])

    def deploy_catcher(self) -> Any:
        """``mocks/Catcher.sol``, which asks behind try/catch."""
        source = (CONTRACTS / "mocks" / "Catcher.sol").read_text(encoding="utf-8")
        artifact = compile_verifier(source, "Catcher")
        return self.w3.eth.contract(self.create(artifact.bytecode), abi=artifact.abi)

    def send(self, call: Any, sender: str | None = None, **fields: Any) -> str:
        """Send a contract call; the transaction's hash, wherever it is now."""
        sent = call.transact({"from": sender or self.user, "gas": GAS, **fields})
        return "0x" + bytes(sent).hex()

    def transact_now(self, call: Any, sender: str | None = None) -> None:
        """Send a contract call and make a block with it."""
        sent = self.send(call, sender)
        self.chain.mine()
        if self.why(sent)["status"] != "included":
            raise AssertionError("the transaction is in no block")

    def results(self, contract: Any = None) -> list[int]:
        """What the contract has kept, in whole units."""
        functions = (contract or self.pipeline).functions
        return [functions.results(index).call() / WAD for index in range(functions.count().call())]

    def inferred(self, receipt: Any) -> int:
        """How many inferences a transaction has logged."""
        return sum(bytes(log["topics"][0]) == INFERRED_TOPIC for log in receipt["logs"])
