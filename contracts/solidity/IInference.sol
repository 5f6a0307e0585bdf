// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// @title The inference precompile
/// @notice Inputs and outputs have 18 decimals; those of the event are the model's integers. A refusal reverts with
///         InferenceError. Assurance: 1 signed, 2 agreed, 3 attested, 4 proven.
interface IInference {
    struct Receipt {
        bytes32 request_id;
        bytes32 model_id;
        bytes32 input_hash;
        bytes32 output_hash;
        address operator;
        uint8 assurance;
        uint64 block_number;
    }

    event Inferred(
        bytes32 indexed receipt_id,
        bytes32 indexed model_id,
        address indexed operator,
        int256[] inputs_q,
        int256[] outputs_q,
        uint8 assurance
    );

    error InferenceError(uint8 reason);

    function infer(bytes32 model_id, int256[] calldata inputs, uint8 min_assurance)
        external
        returns (int256[] memory outputs, bytes32 receipt_id);

    /// @dev Takes models of class OPEN too, which have no one correct output: a signature says who answered.
    function infer_open(bytes32 model_id, int256[] calldata inputs, uint8 min_assurance)
        external
        returns (int256[] memory outputs, bytes32 receipt_id);

    function assurance_of(bytes32 receipt_id) external view returns (uint8);

    function receipt(bytes32 receipt_id) external view returns (Receipt memory);
}

IInference constant INFERENCE = IInference(0x00000000000000000000000000000000f07e7E11);

uint8 constant SIGNED = 1;
uint8 constant AGREED = 2;
uint8 constant ATTESTED = 3;
uint8 constant PROVEN = 4;
