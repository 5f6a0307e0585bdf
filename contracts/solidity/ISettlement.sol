// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// @title Settlement, as far as contracts that ask use it
/// @notice Status: 0 none, 1 open, 2 delivered, 3 disputed, 4 final, 5 undetermined, 6 expired, 7 cancelled.
///         Whoever moves a request on passes its Request and, once it was delivered, its Delivery; both follow from the
///         events. What operators call is in contracts/interfaces.
interface ISettlement {
    struct Policy {
        uint8 min_assurance; // 1 to 4; above signed the deliverer owes a proof within the proof window
        bool provisional; // call on_inference at delivery, before the result is final
        uint32 callback_gas; // zero: no callbacks
        uint64 deadline; // last second at which the request can be delivered
        uint256 value_at_risk; // wei that the deliverer's bond must cover
    }

    struct Request {
        address requester;
        uint64 nonce;
        bytes32 model_id;
        bytes32 input_hash;
        uint256 terms;
        Policy policy;
        uint256 fee;
        uint64 created_at;
        bool from_receipt;
    }

    struct Delivery {
        address operator;
        bytes32 output_hash;
        uint64 delivered_at;
        uint256 raised_fee;
        address challenger;
        bytes32 challenger_output_hash;
        uint64 disputed_at;
        uint256 compensation;
    }

    /// @notice Adds the ether sent to an account's credit.
    function deposit(address account) external payable;

    /// @notice Inputs have 18 decimals. The fee comes out of the caller's credit, to which the ether sent is added first.
    function request(bytes32 model_id, int256[] calldata inputs, Policy calldata policy, uint256 fee)
        external
        payable
        returns (bytes32 request_id);

    /// @notice `count` requests of equally many inputs each, one after the other in `inputs`; `fee` is for each.
    function request_many(
        bytes32 model_id,
        int256[] calldata inputs,
        uint256 count,
        Policy calldata policy,
        uint256 fee
    ) external payable returns (bytes32[] memory request_ids);

    /// @notice Insures a result of the precompile, in its block; inputs are those of the call.
    function settle_receipt(
        bytes32 receipt_id,
        bytes32 model_id,
        int256[] calldata inputs,
        uint256 value_at_risk,
        uint256 fee
    ) external payable returns (bytes32 request_id);

    function raise_fee(Request calldata request, uint256 amount) external payable;

    function cancel(Request calldata request) external;

    function withdraw() external returns (uint256 amount);

    function status_of(bytes32 request_id) external view returns (uint8);

    function assurance_of(bytes32 request_id) external view returns (uint8);

    function output_hash_of(bytes32 request_id, Delivery calldata delivery) external view returns (bytes32);

    function request_id_of(Request calldata request) external view returns (bytes32);

    function credit_of(address account) external view returns (uint256);

    function nonce_of(address requester) external view returns (uint256);

    function dispute_bond() external view returns (uint256);

    function operator_registry() external view returns (address);
}
