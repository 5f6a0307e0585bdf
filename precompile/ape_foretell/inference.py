"""What a test needs besides contracts: models, operators, and the steps that a request's life takes.

Each step is what operators and relayers do on a public chain, here at once and in this process: real outputs,
real signatures, real proofs. Outputs are quantised integers, as Settlement takes them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ape.exceptions import ProviderError
from ape.utils import ManagerAccessMixin
from eth_abi import decode
from eth_keys.datatypes import PrivateKey
from eth_typing import ChecksumAddress
from eth_utils import to_hex

from ape_foretell.system import system_contracts
from foretell_cli.devnet import Devnet, DevOperator, RegisteredModel
from foretell_spec.abi import INFERRED_TOPIC
from foretell_spec.addresses import (
    CIRCUIT_VERIFIER,
    MODEL_REGISTRY,
    OPERATOR_REGISTRY,
    PRECOMPILE,
    SETTLEMENT,
)
from foretell_spec.bundle import Bundle
from foretell_spec.settlement import STORY, Delivery, Request, inputs_of
from foretell_spec.tensor import Tensor

if TYPE_CHECKING:
    from ape.api import ReceiptAPI, TestAccountAPI
    from ape.contracts import ContractInstance
    from eth_account.signers.local import LocalAccount


class Inference(ManagerAccessMixin):
    """Models, operators and settlement of the connected chain."""

    @property
    def devnet(self) -> Devnet:
        """The chain itself, with its web3.

        Raises:
            ProviderError: Ape is connected to something else, or to nothing.
        """
        devnet = getattr(self.network_manager.active_provider, "devnet", None)
        if not isinstance(devnet, Devnet):
            raise ProviderError(
                "`inference` needs the provider foretell: set ethereum: local: default_provider: foretell "
                "in ape-config.yaml, or say --network ethereum:local:foretell"
            )
        return devnet

    # ---------------------------------------------------------------- who and what there is

    @property
    def models(self) -> list[RegisteredModel]:
        """The models that were registered, in order."""
        return list(self.devnet.models.values())

    @property
    def operators(self) -> list[DevOperator]:
        """The operators that answer."""
        return self.devnet.operators

    @property
    def precompile(self) -> "ContractInstance":
        """The precompile, as an Ape contract."""
        return self._contract(PRECOMPILE)

    @property
    def settlement(self) -> "ContractInstance":
        """Settlement, as an Ape contract."""
        return self._contract(SETTLEMENT)

    @property
    def operator_registry(self) -> "ContractInstance":
        """OperatorRegistry, as an Ape contract."""
        return self._contract(OPERATOR_REGISTRY)

    @property
    def model_registry(self) -> "ContractInstance":
        """ModelRegistry, as an Ape contract."""
        return self._contract(MODEL_REGISTRY)

    @property
    def circuit_verifier(self) -> "ContractInstance":
        """CircuitVerifier, as an Ape contract."""
        return self._contract(CIRCUIT_VERIFIER)

    def model(self, folder: str | Path) -> RegisteredModel:
        """Register a model folder (absolute, or relative to the project) and serve it."""
        return self.devnet.register_model(self.local_project.path / folder)

    # ---------------------------------------------------------------- what operators do

    def outputs(self, request_id: bytes) -> Tensor:
        """The model's one correct output for a request."""
        model, inputs = self._question(request_id)
        return self.devnet.infer(model, inputs)

    def deliver(
        self, request_id: bytes, outputs: Tensor | None = None, operator: DevOperator | None = None
    ) -> "ReceiptAPI":
        """Deliver a signed output to an open request: by default the right one, of the first operator."""
        operator = operator or self.operators[0]
        bundle = self._signed(request_id, outputs, operator)
        return self.settlement.deliver(
            self.request_of(request_id).words(),
            list(bundle.outputs),
            operator.address,
            bundle.signature,
            sender=self._as_ape(operator.account),
        )

    def challenge(
        self, request_id: bytes, outputs: Tensor | None = None, operator: DevOperator | None = None
    ) -> "ReceiptAPI":
        """Challenge a delivered output with another one: by default the right one, of the last operator."""
        operator = operator or self.operators[-1]
        bundle = self._signed(request_id, outputs, operator)
        return self.settlement.challenge(
            self.request_of(request_id).words(),
            self.delivery_of(request_id).words(),
            list(bundle.outputs),
            operator.address,
            bundle.signature,
            sender=self._as_ape(operator.account),
        )

    def prove(self, request_id: bytes) -> "ReceiptAPI":
        """Prove the right output of a delivered or disputed request, and let Settlement decide."""
        model, inputs = self._question(request_id)
        outputs, proof = self.devnet.prove(model, inputs)
        return self.settlement.prove(
            self.request_of(request_id).words(),
            self.delivery_of(request_id).words(),
            list(inputs),
            list(outputs),
            proof,
            sender=self._as_ape(self.devnet.treasury),
        )

    def finalize(self, request_id: bytes) -> "ReceiptAPI":
        """Let the challenge window of a delivered request pass, and make it final."""
        model, _ = self._question(request_id)
        delivery = self.delivery_of(request_id)
        over = delivery.delivered_at + model.manifest.challenge_window
        if self.chain_manager.pending_timestamp <= over:
            self.chain_manager.pending_timestamp = over + 1
        return self.settlement.finalise(
            self.request_of(request_id).words(),
            delivery.words(),
            list(self._standing(request_id)),
            sender=self._as_ape(self.devnet.treasury),
        )

    # ---------------------------------------------------------------- what the chain says

    def request_of(self, request_id: bytes) -> Request:
        """What never changes of a request; ``.words()`` of it is what Settlement takes.

        Raises:
            ProviderError: Settlement knows no such request.
        """
        return Request.from_event(*self._asked(request_id))

    def delivery_of(self, request_id: bytes) -> Delivery:
        """What is known of a request since its delivery; ``.words()`` of it is what Settlement takes."""
        return Delivery.from_events(self._story(request_id))

    def _asked(self, request_id: bytes) -> tuple[str, Any]:
        for name, args in self._story(request_id):
            if name in ("Requested", "ReceiptSettled"):
                return name, args
        raise ProviderError(f"Settlement knows no request 0x{bytes(request_id).hex()}")

    def _story(self, request_id: bytes) -> list[tuple[str, Any]]:
        """Settlement's events of a request from which its structs follow, in order."""
        settlement = self.devnet.settlement
        logs = [
            log
            for name in STORY
            for log in settlement.events[name]().get_logs(
                from_block=0, argument_filters={"request_id": bytes(request_id)}
            )
        ]
        logs.sort(key=lambda log: (log["blockNumber"], log["logIndex"]))
        return [(log["event"], log["args"]) for log in logs]

    def _question(self, request_id: bytes) -> tuple[RegisteredModel, Tensor]:
        _, asked = self._asked(request_id)
        model = self.devnet.models.get(asked["model_id"])
        if model is None:
            raise ProviderError(
                f"model 0x{asked['model_id'].hex()} is not served: inference.model(folder) does"
            )
        return model, inputs_of(asked)

    def _standing(self, request_id: bytes) -> Tensor:
        """The delivered output, which no contract stores."""
        delivered = self._event("Delivered", request_id)
        if delivered is not None:
            return tuple(delivered["outputs_q"])
        settled = self._event("ReceiptSettled", request_id)
        if settled is None:
            raise ProviderError(f"request 0x{bytes(request_id).hex()} was not delivered")
        topics = ["0x" + INFERRED_TOPIC.hex(), "0x" + settled["receipt_id"].hex()]
        logs = self.devnet.w3.eth.get_logs({"address": PRECOMPILE, "fromBlock": 0, "topics": topics})
        _, outputs, _ = decode(["int256[]", "int256[]", "uint8"], logs[-1]["data"])
        return tuple(outputs)

    def _event(self, name: str, request_id: bytes) -> Any:
        event = self.devnet.settlement.events[name]()
        found = event.get_logs(from_block=0, argument_filters={"request_id": bytes(request_id)})
        return found[-1]["args"] if found else None

    # ---------------------------------------------------------------- how it gets there

    def _signed(self, request_id: bytes, outputs: Tensor | None, operator: DevOperator) -> Bundle:
        model, inputs = self._question(request_id)
        bundle = Bundle(
            request_id=bytes(request_id),
            model_id=model.model_id,
            inputs=inputs,
            outputs=tuple(outputs) if outputs is not None else self.devnet.infer(model, inputs),
            operator=operator.address,
        )
        return bundle.signed(
            PrivateKey(bytes(operator.account.key)), self.devnet.chain.config.chain_id, SETTLEMENT
        )

    def _as_ape(self, account: "LocalAccount") -> "TestAccountAPI":
        container = self.account_manager.test_accounts
        return container.init_test_account(len(container), account.address, to_hex(account.key))

    def _contract(self, address: ChecksumAddress) -> "ContractInstance":
        return self.chain_manager.contracts.instance_at(address, contract_type=system_contracts()[address])
