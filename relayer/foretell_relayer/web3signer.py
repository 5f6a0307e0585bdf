"""The hot key in Consensys' web3signer: it signs over HTTP, and the key never enters this process.

Its eth1 API signs the Keccak hash of the bytes that it is sent, so a bundle goes there as the message of
EIP-712 and a transaction as what EIP-2718 hashes. What comes back is believed only if it is a signature of
the key that we wanted. Source: web3signer's OpenAPI description (``/api/v1/eth1``).
"""

import re
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import rlp
from eth_keys.datatypes import PublicKey
from eth_keys.exceptions import ValidationError
from eth_typing import ChecksumAddress
from eth_utils import keccak

from foretell_relayer.errors import SignerUnreachable, SignerWrong
from foretell_relayer.redact import Redactor, public_url
from foretell_relayer.signers import SignedTransaction
from foretell_spec.bundle import Bundle, recover_signer
from foretell_spec.errors import SignatureError

LONGEST_ANSWER: Final = 1 << 20
_SIGNATURE: Final = re.compile(rb"(?:0x)?([0-9a-fA-F]{130})")
_DYNAMIC_FEE: Final = b"\x02"


class RemoteSigner:
    """One key of a web3signer."""

    def __init__(self, url: str, address: ChecksumAddress, timeout: float = 10.0) -> None:
        self._url = url.rstrip("/")
        self._redact = Redactor(url)
        self._timeout = aiohttp.ClientTimeout(timeout)
        self._identifier = ""
        self._address = address

    def __repr__(self) -> str:
        return f"RemoteSigner({self.address}, {public_url(self._url)})"

    @property
    def address(self) -> ChecksumAddress:
        return self._address

    async def find_key(self) -> None:
        """Look for the key among those that are loaded.

        Raises:
            SignerUnreachable: no answer.
            SignerWrong: it is not there.
        """
        answer = await self._ask("GET", "/api/v1/eth1/publicKeys")
        known = {_address(key): key for key in re.findall(r'"((?:0x)?[0-9a-fA-F]{128})"', answer.decode())}
        if self.address not in known:
            raise SignerWrong(f"the remote signer has {len(known)} keys, and none of them is {self.address}")
        self._identifier = known[self.address]

    async def sign_transaction(self, transaction: dict[str, Any]) -> SignedTransaction:
        fields = [
            transaction["chainId"],
            transaction["nonce"],
            transaction["maxPriorityFeePerGas"],
            transaction["maxFeePerGas"],
            transaction["gas"],
            bytes.fromhex(transaction["to"][2:]),
            transaction["value"],
            transaction["data"],
            [],
        ]
        signature = await self._sign(_DYNAMIC_FEE + rlp.encode(fields))
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        raw = _DYNAMIC_FEE + rlp.encode([*fields, signature[64] - 27, r, s])
        return SignedTransaction(keccak(raw), raw)

    async def sign_bundle(self, bundle: Bundle, chain_id: int, contract: ChecksumAddress) -> bytes:
        return await self._sign(bundle.message(chain_id, contract))

    async def _sign(self, message: bytes) -> bytes:
        if not self._identifier:
            await self.find_key()
        path = f"/api/v1/eth1/sign/{quote(self._identifier)}"
        found = _SIGNATURE.fullmatch((await self._ask("POST", path, {"data": "0x" + message.hex()})).strip())
        if found is None:
            raise SignerWrong("the remote signer's answer is no signature")
        signature = bytes.fromhex(found[1].decode())
        try:
            signer = recover_signer(keccak(message), signature)
        except SignatureError as error:
            raise SignerWrong(f"the remote signer's answer is no signature: {error}") from None
        if signer != self.address:
            raise SignerWrong(f"the remote signer signed with the key of {signer}, not of {self.address}")
        return signature

    async def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> bytes:
        try:
            # A session each: signatures are rare, and a connection that idled may be dead.
            async with (
                aiohttp.ClientSession(timeout=self._timeout, trust_env=False) as session,
                session.request(method, self._url + path, json=body, allow_redirects=False) as answer,
            ):
                text = b""
                async for part in answer.content.iter_any():
                    text += part
                    if len(text) > LONGEST_ANSWER:
                        raise SignerWrong("the remote signer's answer is too long")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SignerUnreachable(
                f"no answer from the remote signer: {self._redact(str(error) or type(error).__name__)}"
            ) from None
        if answer.status == 404:
            self._identifier = ""  # the key was unloaded: look again next time
            raise SignerUnreachable("the remote signer does not know the key at the moment")
        if answer.status != 200:
            raise SignerUnreachable(f"the remote signer answered with HTTP status {answer.status}")
        return text


def _address(key: str) -> ChecksumAddress | None:
    try:
        return PublicKey(bytes.fromhex(key.removeprefix("0x"))).to_checksum_address()
    except (ValueError, ValidationError):
        return None
