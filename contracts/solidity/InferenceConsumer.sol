// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {IInferenceConsumer} from "./IInferenceConsumer.sol";
import {ISettlement} from "./ISettlement.sol";

/// @title Base of contracts that use Settlement: ask asynchronously, guard the callbacks, fetch what is owed
/// @notice Settlement calls back only the contract that opened the request, so `onlySettlement` is all that a callback
///         needs.
abstract contract InferenceConsumer is IInferenceConsumer {
    ISettlement internal immutable SETTLEMENT;

    modifier onlySettlement() {
        require(msg.sender == address(SETTLEMENT), "consumer: only settlement");
        _;
    }

    constructor(ISettlement settlement) {
        require(address(settlement) != address(0), "consumer: settlement is zero");
        SETTLEMENT = settlement;
    }

    /// @dev Refunds and compensations arrive here while `_collect` runs.
    receive() external payable virtual {
        require(msg.sender == address(SETTLEMENT), "consumer: only settlement pays");
    }

    /// @dev Opens a request and sends the fee with it; the answer comes as a callback.
    function _request(bytes32 modelId, int256[] memory inputs, ISettlement.Policy memory policy, uint256 fee)
        internal
        returns (bytes32 requestId)
    {
        return SETTLEMENT.request{value: fee}(modelId, inputs, policy, fee);
    }

    /// @dev Fetches refunds and compensations; returns the wei received.
    function _collect() internal returns (uint256) {
        return SETTLEMENT.withdraw();
    }
}
