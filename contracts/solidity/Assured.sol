// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {PROVEN} from "./IInference.sol";
import {IOperatorRegistry} from "./IOperatorRegistry.sol";
import {Inference} from "./Inference.sol";
import {InferenceConsumer} from "./InferenceConsumer.sol";

/// @title Base of contracts that act on a result before it is final: never on more than a bond covers
/// @notice `_insure` takes the result into settlement with the amount at risk; `_release` ends the exposure in
///         on_inference_final and on_inference_reversed.
abstract contract Assured is InferenceConsumer {
    /// @notice Wei at risk on each result that is not final yet, and in all.
    mapping(bytes32 => uint256) internal exposure;
    uint256 internal totalExposure;

    function _requireAssurance(bytes32 receiptId, uint8 minimum) internal view {
        require(Inference.assuranceOf(receiptId) >= minimum, "assured: assurance too low");
    }

    /// @dev Most that could be put at risk now on a result: the free bond of its operator less what a dispute needs.
    function _insurable(bytes32 receiptId) internal view returns (uint256) {
        IOperatorRegistry registry = IOperatorRegistry(SETTLEMENT.operator_registry());
        uint256 free = registry.free_bond(Inference.operatorOf(receiptId));
        uint256 reserved = SETTLEMENT.dispute_bond();
        return free > reserved ? free - reserved : 0;
    }

    /// @dev Opens the settlement of a result of this block. If the result does not stand, Settlement credits
    ///      `valueAtRisk`. A proven result is final at once: nothing is at risk, and no callback follows.
    function _insure(bytes32 receiptId, bytes32 modelId, int256[] memory inputs, uint256 valueAtRisk, uint256 fee)
        internal
        returns (bytes32 requestId)
    {
        require(valueAtRisk > 0, "assured: nothing at risk");
        bool proven = Inference.assuranceOf(receiptId) == PROVEN;
        require(proven || valueAtRisk <= _insurable(receiptId), "assured: bond does not cover the value at risk");
        requestId = SETTLEMENT.settle_receipt{value: fee}(receiptId, modelId, inputs, valueAtRisk, fee);
        if (!proven) {
            exposure[requestId] = valueAtRisk;
            totalExposure += valueAtRisk;
        }
    }

    /// @dev Ends an exposure; returns what was at risk, zero for a request that was not insured here.
    function _release(bytes32 requestId) internal returns (uint256 released) {
        released = exposure[requestId];
        exposure[requestId] = 0;
        totalExposure -= released;
    }
}
