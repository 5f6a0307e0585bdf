// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// @title OperatorRegistry, as far as contracts that ask use it
interface IOperatorRegistry {
    /// @notice Zero unless registered with an active bond of at least min_bond.
    function signer_of(address operator) external view returns (address);

    /// @notice Wei that can be locked for an operator now.
    function free_bond(address operator) external view returns (uint256);
}
