// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// @title Callbacks that Settlement makes to the contract that opened a request
/// @notice Each is isolated (a revert does not undo the settlement), gets at least the callback gas of the request, and
///         happens once in effect; one that failed may be replayed by anyone. Settlement is locked meanwhile: its views
///         answer, its other functions revert.
interface IInferenceConsumer {
    /// @notice A provisional output: signed and insured, not final. Only for requests with `provisional`.
    function on_inference(bytes32 request_id, int256[] calldata outputs, uint8 assurance) external;

    /// @notice The final output.
    function on_inference_final(bytes32 request_id, int256[] calldata outputs, uint8 assurance) external;

    /// @notice The output that the contract has already seen does not stand. `outputs` is the right one, empty when none
    ///         was proven; `compensation` (wei) is already credited to the requester in Settlement.
    function on_inference_reversed(bytes32 request_id, int256[] calldata outputs, uint256 compensation) external;
}
