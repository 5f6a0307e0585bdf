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
QUANTISED_LIMIT: constant(int256) = 2**127
MAX_WINDOW: constant(uint64) = 30 * 24 * 3600

# Terms word: class, input scale, output scale (8 bits each), sizes (16 each), windows (64 each), open flag.
INPUT_SCALE_AT: constant(uint256) = 8
OUTPUT_SCALE_AT: constant(uint256) = 16
INPUT_SIZE_AT: constant(uint256) = 24
OUTPUT_SIZE_AT: constant(uint256) = 40
CHALLENGE_WINDOW_AT: constant(uint256) = 56
PROOF_WINDOW_AT: constant(uint256) = 120
OPEN_FLAG: constant(uint256) = 1 << 184

# What a request does not need.
struct Rest:
    publisher: address
    metadata_hash: bytes32
    tolerance: uint256
    verifier_code_hash: bytes32
    enclave_measurement: bytes32
    verifier: address
    registered_at: uint64

# Two packed words, so that a request and a delivery read a model with two slots instead of ten.
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
         (vka_digest) is refused: anybody can register a key there.
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
    terms: uint256 = self._terms[model_id]
    assert terms & OPEN_FLAG != 0, "models: already stopped"
    self._terms[model_id] = terms ^ OPEN_FLAG
    log IModelRegistry.ModelStopped(model_id=model_id, publisher=msg.sender)


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
        input_size=self._field(word, INPUT_SIZE_AT, 16),
        output_size=self._field(word, OUTPUT_SIZE_AT, 16),
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
    return self._terms[model_id] & OPEN_FLAG != 0


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
    return (
        convert(m.determinism, uint256)
        | convert(m.input_scale, uint256) << INPUT_SCALE_AT
        | convert(m.output_scale, uint256) << OUTPUT_SCALE_AT
        | m.input_size << INPUT_SIZE_AT
        | m.output_size << OUTPUT_SIZE_AT
        | convert(m.challenge_window, uint256) << CHALLENGE_WINDOW_AT
        | convert(m.proof_window, uint256) << PROOF_WINDOW_AT
        | OPEN_FLAG
    )


# Both bounds shifted by the limit are non-negative and below 2**128.
@internal
@pure
def _pack_bounds(low: int256, high: int256) -> uint256:
    return convert(low + QUANTISED_LIMIT, uint256) | convert(high + QUANTISED_LIMIT, uint256) << 128


@internal
@view
def _unpack_terms(model_id: bytes32) -> IModelRegistry.Terms:
    word: uint256 = self._terms[model_id]
    if word == 0:
        return empty(IModelRegistry.Terms)
    bounds: uint256 = self._bounds[model_id]
    return IModelRegistry.Terms(
        determinism=convert(self._field(word, 0, 8), uint8),
        input_size=self._field(word, INPUT_SIZE_AT, 16),
        output_size=self._field(word, OUTPUT_SIZE_AT, 16),
        input_scale=convert(self._field(word, INPUT_SCALE_AT, 8), uint8),
        output_scale=convert(self._field(word, OUTPUT_SCALE_AT, 8), uint8),
        input_min=convert(self._field(bounds, 0, 128), int256) - QUANTISED_LIMIT,
        input_max=convert(bounds >> 128, int256) - QUANTISED_LIMIT,
        challenge_window=convert(self._field(word, CHALLENGE_WINDOW_AT, 64), uint64),
        proof_window=convert(self._field(word, PROOF_WINDOW_AT, 64), uint64),
        is_open=word & OPEN_FLAG != 0,
    )


@internal
@pure
def _field(word: uint256, offset: uint256, bits: uint256) -> uint256:
    return (word >> offset) & ((1 << bits) - 1)
