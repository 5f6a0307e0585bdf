"""A random case from a seed."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final

from eth_keys.datatypes import PrivateKey
from eth_utils import keccak, to_canonical_address

from foretell_spec.addresses import PRECOMPILE
from tests.conformance.cases import Account, Case, Environment
from tests.conformance.precompile_inputs import precompile_input
from tests.conformance.programs import Programs
from tests.conformance.wire import ACCESS_LIST, BLOB, DYNAMIC_FEE, LEGACY, SET_CODE, Wire, authorization

SENDERS: Final = tuple(PrivateKey(keccak(text=f"sender {index}")) for index in range(3))
DELEGATED: Final = PrivateKey(keccak(text="delegated"))
CONTRACTS: Final = tuple(bytes([0xA0 + index]) * 20 for index in range(5))
STRANGER: Final = b"\x99" * 20
COINBASE: Final = b"\xc0" * 20
OURS: Final = to_canonical_address(PRECOMPILE)
_DESIGNATOR: Final = "ef0100"
_KINDS: Final = (LEGACY, LEGACY, ACCESS_LIST, DYNAMIC_FEE, DYNAMIC_FEE, DYNAMIC_FEE, BLOB, SET_CODE, SET_CODE)
_SIMPLE_KINDS: Final = _KINDS[:-2]
_INVALID: Final = 0.08
_VERSIONED: Final = b"\x01" + b"\x55" * 31


def address_of(key: PrivateKey) -> bytes:
    """The account of a key."""
    return bytes(key.public_key.to_canonical_address())


def generate(seed: int, *, ours: bool = False, simple: bool = False) -> Case:
    """The case of a seed. ``ours``: its programs may call our addresses; ``simple``: for revm."""
    return _Generator(Random(seed), seed, ours, simple).case()


class _Generator:
    def __init__(self, random: Random, seed: int, ours: bool, simple: bool) -> None:
        self._random, self._seed, self._ours, self._simple = random, seed, ours, simple
        self._precompiles = range(1, 11 if simple else 18)
        precompiles = [number.to_bytes(20, "big") for number in random.sample(self._precompiles, 3)]
        self._addresses = [
            *CONTRACTS, address_of(SENDERS[0]), address_of(DELEGATED), STRANGER, COINBASE, *precompiles,
            *([OURS, OURS, OURS] if ours else []),
        ]  # fmt: skip
        self._programs = Programs(random, self._addresses, self._precompiles)
        self._environment = Environment(
            number=random.choice((1, 2, 300)),
            base_fee=0 if simple else random.choice((0, 0, 7)),
            excess_blob_gas=0 if simple else random.choice((0, 0, 10_000_000)),
        )
        self._nonces = {address_of(key): 0 for key in SENDERS}

    def case(self) -> Case:
        """Accounts and one to three transactions."""
        random, accounts = self._random, self._accounts()
        count = 1 if self._simple else random.choice((1, 1, 1, 2, 3))
        raw = tuple(self._transaction().hex() for _ in range(count))
        return Case(self._seed, self._environment, accounts, raw, self._ours)

    def _accounts(self) -> dict[str, Account]:
        random, slots = self._random, (0, 1, 1, 1) if self._simple else (0, 1, 2, 3)
        found = {
            contract.hex(): Account(
                balance=random.choice((0, 10, 10**18)),
                nonce=1,
                code=self._programs.program().hex(),
                storage={
                    slot: random.choice((1, 2, 2**256 - 1))
                    for slot in random.sample(range(4), slots[random.randrange(4)])
                },
            )
            for contract in CONTRACTS
        }
        for key in SENDERS:
            found[address_of(key).hex()] = Account(balance=10**20)
        target = random.choice((*CONTRACTS, address_of(DELEGATED), STRANGER, (1).to_bytes(20, "big")))
        code = "" if self._simple else _DESIGNATOR + target.hex()
        found[address_of(DELEGATED).hex()] = Account(balance=10**20, nonce=3, code=code)
        return found

    def _transaction(self) -> bytes:
        random = self._random
        key = random.choice(SENDERS)
        sender = address_of(key)
        made = self._wire(self._nonces[sender])
        if random.random() >= _INVALID:
            self._nonces[sender] += 1
            return made.signed(key, protected=random.random() < 0.9)
        return self._spoil(made, key)

    def _wire(self, nonce: int) -> Wire:
        random, kind = self._random, self._random.choice(_SIMPLE_KINDS if self._simple else _KINDS)
        to, data = self._target()
        if not to and kind in (BLOB, SET_CODE):
            to = CONTRACTS[0]
        # pyrevm tells creation code of no gas price.
        fees = (0, 0) if self._simple and not to else (random.choice((7, 20, 1000)), random.choice((0, 2, 7)))
        return Wire(
            kind, nonce, random.choice((60_000, 150_000, 400_000, 1_000_000, 3_000_000)), to,
            value=random.choice((0, 0, 1, 1000)),
            data=data,
            max_fee=fees[0],
            tip=fees[1],
            access_list=self._access_list(),
            max_blob_fee=100,
            blob_hashes=[_VERSIONED] * random.randint(1, 3),
            authorizations=self._authorizations() if kind == SET_CODE else (),
        )  # fmt: skip

    def _target(self) -> tuple[bytes, bytes]:
        random, choice = self._random, self._random.random()
        if choice < 0.15:
            number = random.choice(self._precompiles)
            return number.to_bytes(20, "big"), precompile_input(random, number)
        if choice < 0.25:
            return b"", self._programs.program(depth=1)
        data = random.choice((b"", random.randbytes(random.randint(0, 100)), bytes(random.randint(0, 500))))
        return random.choice((*CONTRACTS, *CONTRACTS, *self._addresses)), data

    def _access_list(self) -> Sequence[tuple[bytes, Sequence[bytes]]]:
        random = self._random
        listed = random.choices(self._addresses, k=random.choice((0, 0, 1, 2)))
        return [
            (each, [random.randrange(4).to_bytes(32, "big") for _ in range(random.randint(0, 3))])
            for each in listed
        ]

    def _authorizations(self) -> Sequence[Sequence[object]]:
        return [self._authorization() for _ in range(self._random.randint(1, 3))]

    def _authorization(self) -> Sequence[object]:
        random = self._random
        key = random.choice((*SENDERS, DELEGATED, PrivateKey(keccak(text="fresh"))))
        to = random.choice(
            (*CONTRACTS, *CONTRACTS, bytes(20), address_of(DELEGATED), (2).to_bytes(20, "big"))
        )
        nonce = random.choice((self._nonces.get(address_of(key), 0), 0, 1, 2, 3, 4))
        chain_id = random.choice((1, 1, 1, 0, 2))
        return authorization(key, chain_id, to, nonce, high_s=random.random() < 0.05)

    def _spoil(self, made: Wire, key: PrivateKey) -> bytes:
        kind = self._random.randrange(10)
        changes: list[dict[str, object]] = [
            {"nonce": made.nonce + 1}, {"nonce": 2**64 - 1}, {"gas": 20_999}, {"gas": 30_000_001},
            {"value": 10**21}, {"max_fee": 6, "tip": 0}, {"max_fee": 10, "tip": 11}, {"chain_id": 2},
            {"blob_hashes": [], "authorizations": ()}, {"blob_hashes": [b"\x02" + bytes(31)], "to": b""},
        ]  # fmt: skip
        return replace(made, **changes[kind]).signed(key, high_s=self._random.random() < 0.1)
