# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title ModelRegistry
@license Apache-2.0
@author Foretell
@notice Binds each model to what makes its output the one correct output. An entry never changes.
@custom:invariant model_id is the hash of the stored manifest.
                  Once set, nothing of an entry changes but `stopped`, and that only from false to true.
"""

from interfaces import IModelRegistry
from lib import tensor
from lib import terms as terms_word

implements: IModelRegistry

MANIFEST_TYPEHASH: constant(bytes32) = keccak256(
    "Manifest(uint8 determinism,address publisher,bytes32 metadata_hash,uint256 input_size,uint256 output_size,uint8 input_scale,uint8 output_scale,int256 input_min,int256 input_max,uint256 tolerance,bytes32 verifier_code_hash,bytes32 vka_digest,bytes32 enclave_measurement,uint64 challenge_window,uint64 proof_window)"
)

CIRCUIT: constant(uint8) = 0
FLOAT: constant(uint8) = 2
SEEDED: constant(uint8) = 3
OPEN_CLASS: constant(uint8) = 4
MAX_SCALE: constant(uint8) = 18
WAD: constant(uint256) = 10**18
MAX_INPUTS: constant(uint256) = 256
MAX_OUTPUTS: constant(uint256) = 64
MAX_BATCH: constant(uint256) = 100
MAX_BATCH_NUMBERS: constant(uint256) = 1024
QUANTISED_LIMIT: constant(int256) = 2**127
MASK_128: constant(uint256) = 2**128 - 1
MAX_WINDOW: constant(uint64) = 30 * 24 * 3600

# What a request does not need.
struct Rest:
    publisher: address
    metadata_hash: bytes32
    tolerance: uint256
    verifier_code_hash: bytes32
    enclave_measurement: bytes32
    verifier: address
    registered_at: uint64

# Two packed words, so that a request reads a model with two slots instead of ten.
_terms: HashMap[bytes32, uint256]
_bounds: HashMap[bytes32, uint256]
_rest: HashMap[bytes32, Rest]


@external
def register(manifest: IModelRegistry.Manifest, verifier: address) -> bytes32:
    """
    @notice Register a model for good.
    @dev The id is the hash of the fields, so nobody can register other fields under it. A CIRCUIT model names a
         contract whose code has the hash in its manifest; the other classes name none. A FLOAT model tolerates at
         least one step of its output, a SEEDED one takes and gives whole tokens. The reusable verifier of EZKL
         (vka_digest) is refused, as anybody can register a key there: ReusableCircuit pins one.
    @param manifest The fields of the model; its publisher is the caller or zero.
    @param verifier Contract that EZKL generated for the circuit.
    @return The model id.
    """
    self._check_manifest(manifest)
    assert manifest.publisher in [empty(address), msg.sender], "models: not the publisher"
    if manifest.determinism == CIRCUIT:
        assert verifier.is_contract, "models: verifier has no code"
        assert verifier.codehash == manifest.verifier_code_hash, "models: verifier code differs"
    else:
        assert verifier == empty(address), "models: class takes no verifier"
        assert manifest.verifier_code_hash == empty(bytes32), "models: class takes no verifier code"
    model_id: bytes32 = self._model_id(manifest)
    assert self._rest[model_id].registered_at == 0, "models: already registered"

    self._terms[model_id] = self._pack_terms(manifest)
    self._bounds[model_id] = self._pack_bounds(manifest.input_min, manifest.input_max)
    self._rest[model_id] = Rest(
        publisher=manifest.publisher,
        metadata_hash=manifest.metadata_hash,
        tolerance=manifest.tolerance,
        verifier_code_hash=manifest.verifier_code_hash,
        enclave_measurement=manifest.enclave_measurement,
        verifier=verifier,
        registered_at=convert(block.timestamp, uint64),
    )
    log IModelRegistry.ModelRegistered(
        model_id=model_id, publisher=manifest.publisher, verifier=verifier, manifest=manifest
    )
    return model_id


@external
def stop(model_id: bytes32):
    """
    @notice Refuse new requests for a model, for good. Open requests go on.
    @dev Only its publisher; a model registered without one cannot be stopped.
    @param model_id The model.
    """
    assert msg.sender == self._rest[model_id].publisher, "models: not the publisher"
    word: uint256 = self._terms[model_id]
    assert terms_word.is_open(word), "models: already stopped"
    self._terms[model_id] = word ^ terms_word.OPEN_FLAG
    log IModelRegistry.ModelStopped(model_id=model_id, publisher=msg.sender)


@external
@view
def admit(model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS]) -> (uint256, bytes32):
    """
    @notice What a request of these inputs is about.
    @dev Reverts unless the model takes requests, and these inputs: their number and, quantised, their bounds.
    @param model_id A registered model that is not stopped.
    @param inputs WAD inputs.
    @return The model's terms in one word (lib/terms), and the hash of the quantised inputs.
    """
    word: uint256 = self._open_terms(model_id)
    assert len(inputs) == terms_word.input_size(word), "models: wrong input size"
    scale: uint8 = terms_word.input_scale(word)
    bounds: uint256 = self._bounds[model_id]
    inputs_q: DynArray[int256, MAX_INPUTS] = []
    for x: int256 in inputs:
        inputs_q.append(self._admitted(x, scale, bounds))
    return word, keccak256(abi_encode(inputs_q))


@external
@view
def admit_many(
    model_id: bytes32, inputs: DynArray[int256, MAX_BATCH_NUMBERS], count: uint256
) -> (uint256, DynArray[bytes32, MAX_BATCH]):
    """
    @notice As `admit`, for many requests.
    @param model_id A registered model that is not stopped.
    @param inputs WAD inputs of all requests, one after the other.
    @param count Number of requests.
    @return The model's terms in one word (lib/terms), and the hash of each request's quantised inputs.
    """
    word: uint256 = self._open_terms(model_id)
    size: uint256 = terms_word.input_size(word)
    assert len(inputs) == size * count, "models: wrong input size"
    scale: uint8 = terms_word.input_scale(word)
    bounds: uint256 = self._bounds[model_id]
    hashes: DynArray[bytes32, MAX_BATCH] = []
    for i: uint256 in range(count, bound=MAX_BATCH):
        inputs_q: DynArray[int256, MAX_INPUTS] = []
        for j: uint256 in range(size, bound=MAX_INPUTS):
            inputs_q.append(self._admitted(inputs[i * size + j], scale, bounds))
        hashes.append(keccak256(abi_encode(inputs_q)))
    return word, hashes


@external
@view
def entry(model_id: bytes32) -> IModelRegistry.Entry:
    """
    @notice All that is stored of a model; all zero when it is unknown.
    @param model_id The model.
    @return The entry.
    """
    rest: Rest = self._rest[model_id]
    terms: IModelRegistry.Terms = self._unpack_terms(model_id)
    return IModelRegistry.Entry(
        manifest=IModelRegistry.Manifest(
            determinism=terms.determinism,
            publisher=rest.publisher,
            metadata_hash=rest.metadata_hash,
            input_size=terms.input_size,
            output_size=terms.output_size,
            input_scale=terms.input_scale,
            output_scale=terms.output_scale,
            input_min=terms.input_min,
            input_max=terms.input_max,
            tolerance=rest.tolerance,
            verifier_code_hash=rest.verifier_code_hash,
            vka_digest=empty(bytes32),
            enclave_measurement=rest.enclave_measurement,
            challenge_window=terms.challenge_window,
            proof_window=terms.proof_window,
        ),
        verifier=rest.verifier,
        registered_at=rest.registered_at,
        stopped=rest.registered_at != 0 and not terms.is_open,
    )


@external
@view
def terms(model_id: bytes32) -> IModelRegistry.Terms:
    """
    @notice What a settlement needs of a model; all zero, not open, when it is unknown.
    @param model_id The model.
    @return Class, sizes, scales, input bounds, windows, and whether new requests are taken.
    """
    return self._unpack_terms(model_id)


@external
@view
def circuit(model_id: bytes32) -> IModelRegistry.Circuit:
    """
    @notice What the circuit verifier needs of a model; all zero when it is unknown or has no circuit.
    @param model_id The model.
    @return Verifier, the hash that its code must have, sizes.
    """
    word: uint256 = self._terms[model_id]
    return IModelRegistry.Circuit(
        verifier=self._rest[model_id].verifier,
        code_hash=self._rest[model_id].verifier_code_hash,
        input_size=terms_word.input_size(word),
        output_size=terms_word.output_size(word),
    )


@external
@view
def enclave_measurement(model_id: bytes32) -> bytes32:
    """
    @notice What EnclaveVerifier needs of a model.
    @param model_id The model.
    @return The identity of its enclave; zero when it is unknown or names none.
    """
    return self._rest[model_id].enclave_measurement


@external
@view
def is_open(model_id: bytes32) -> bool:
    """
    @notice Whether the model is registered and not stopped.
    @param model_id The model.
    @return True when new requests are taken.
    """
    return terms_word.is_open(self._terms[model_id])


@external
@pure
def model_id_of(manifest: IModelRegistry.Manifest) -> bytes32:
    """
    @notice Id that a manifest has, registered or not.
    @param manifest The fields.
    @return keccak256 of the type hash and the fields.
    """
    return self._model_id(manifest)


@internal
@pure
def _model_id(manifest: IModelRegistry.Manifest) -> bytes32:
    return keccak256(abi_encode(MANIFEST_TYPEHASH, manifest))


@internal
@pure
def _check_manifest(m: IModelRegistry.Manifest):
    assert m.determinism <= OPEN_CLASS, "models: unknown class"
    assert 1 <= m.input_size and m.input_size <= MAX_INPUTS, "models: input size out of range"
    assert 1 <= m.output_size and m.output_size <= MAX_OUTPUTS, "models: output size out of range"
    assert m.input_scale <= MAX_SCALE, "models: input scale over 18 bits"
    assert m.output_scale <= MAX_SCALE, "models: output scale over 18 bits"
    assert -QUANTISED_LIMIT < m.input_min, "models: input bounds out of range"
    assert m.input_min <= m.input_max, "models: input bounds out of order"
    assert m.input_max < QUANTISED_LIMIT, "models: input bounds out of range"
    assert 1 <= m.challenge_window and m.challenge_window <= MAX_WINDOW, "models: challenge window out of range"
    assert 1 <= m.proof_window and m.proof_window <= MAX_WINDOW, "models: proof window out of range"
    assert m.vka_digest == empty(bytes32), "models: reusable verifier refused"
    if m.determinism == FLOAT:
        # Two values that are nearly equal may be quantised to neighbours.
        assert m.tolerance >= WAD >> convert(m.output_scale, uint256), "models: tolerance under one step"
    elif m.determinism == SEEDED:
        assert m.input_scale == 0, "models: tokens are whole numbers"
        assert m.output_scale == 0, "models: tokens are whole numbers"


@internal
@pure
def _pack_terms(m: IModelRegistry.Manifest) -> uint256:
    return terms_word.pack(
        m.determinism,
        m.input_scale,
        m.output_scale,
        m.input_size,
        m.output_size,
        m.challenge_window,
        m.proof_window,
    )


# Both bounds shifted by the limit are non-negative and below 2**128.
@internal
@pure
def _pack_bounds(low: int256, high: int256) -> uint256:
    return convert(low + QUANTISED_LIMIT, uint256) | convert(high + QUANTISED_LIMIT, uint256) << 128


@internal
@view
def _open_terms(model_id: bytes32) -> uint256:
    word: uint256 = self._terms[model_id]
    assert terms_word.is_open(word), "models: not open"
    return word


# One quantised input.
@internal
@pure
def _admitted(x: int256, scale: uint8, bounds: uint256) -> int256:
    q: int256 = tensor.quantise_one(x, scale)
    assert self._low(bounds) <= q and q <= self._high(bounds), "models: input out of bounds"
    return q


@internal
@pure
def _low(bounds: uint256) -> int256:
    return convert(bounds & MASK_128, int256) - QUANTISED_LIMIT


@internal
@pure
def _high(bounds: uint256) -> int256:
    return convert(bounds >> 128, int256) - QUANTISED_LIMIT


@internal
@view
def _unpack_terms(model_id: bytes32) -> IModelRegistry.Terms:
    word: uint256 = self._terms[model_id]
    if word == 0:
        return empty(IModelRegistry.Terms)
    bounds: uint256 = self._bounds[model_id]
    return IModelRegistry.Terms(
        determinism=terms_word.determinism(word),
        input_size=terms_word.input_size(word),
        output_size=terms_word.output_size(word),
        input_scale=terms_word.input_scale(word),
        output_scale=terms_word.output_scale(word),
        input_min=self._low(bounds),
        input_max=self._high(bounds),
        challenge_window=convert(terms_word.challenge_window(word), uint64),
        proof_window=convert(terms_word.proof_window(word), uint64),
        is_open=terms_word.is_open(word),
    )
