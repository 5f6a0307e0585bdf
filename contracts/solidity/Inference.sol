// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {IInference, INFERENCE} from "./IInference.sol";

/// @title Ask a model within the transaction, through the inference precompile
/// @notice Inputs and outputs have 18 decimals. A refusal reverts with the precompile's InferenceError(uint8 reason).
///         On a chain without the precompile every call reverts: Solidity looks for code before it calls.
library Inference {
    /// @notice The transaction waits, outside any block, until there is evidence of `minAssurance`.
    function infer(bytes32 modelId, int256[] memory inputs, uint8 minAssurance)
        internal
        returns (int256[] memory outputs, bytes32 receiptId)
    {
        return INFERENCE.infer(modelId, inputs, minAssurance);
    }

    /// @notice The same for a model of any class, OPEN among them: such a model has no one correct output, so nothing
    ///         shows an answer wrong, and nobody pays for it. Only who answered is certain.
    function inferOpen(bytes32 modelId, int256[] memory inputs, uint8 minAssurance)
        internal
        returns (int256[] memory outputs, bytes32 receiptId)
    {
        return INFERENCE.infer_open(modelId, inputs, minAssurance);
    }

    /// @notice The answer within a view; stores no receipt, so nothing can be settled with it.
    function inferView(bytes32 modelId, int256[] memory inputs, uint8 minAssurance)
        internal
        view
        returns (int256[] memory outputs, bytes32 receiptId)
    {
        bytes memory question = abi.encodeCall(IInference.infer, (modelId, inputs, minAssurance));
        (bool answered, bytes memory answer) = address(INFERENCE).staticcall(question);
        if (!answered) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        require(answer.length > 0, "inference: no precompile here");
        return abi.decode(answer, (int256[], bytes32));
    }

    function assuranceOf(bytes32 receiptId) internal view returns (uint8) {
        return INFERENCE.assurance_of(receiptId);
    }

    function operatorOf(bytes32 receiptId) internal view returns (address) {
        return INFERENCE.receipt(receiptId).operator;
    }
}
