// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

interface IInference {
    function infer(bytes32 modelId, int256[] calldata inputs, uint8 minAssurance)
        external
        returns (int256[] memory outputs, bytes32 receiptId);
}

/// Asks an adding model behind try/catch, as mocks/Pipeline.vy does behind revert_on_failure=False. For tests.
contract Catcher {
    bool public failed;
    bytes public failure;
    uint256 public count;

    function caught(bytes32 modelId, int256 x, uint8 assurance) external {
        int256[] memory inputs = new int256[](2);
        inputs[0] = x;
        inputs[1] = 1e18;
        try IInference(0x00000000000000000000000000000000f07e7E11).infer(modelId, inputs, assurance) returns (
            int256[] memory, bytes32
        ) {} catch (bytes memory data) {
            failed = true;
            failure = data;
        }
        count++;
    }
}
