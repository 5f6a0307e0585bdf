// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {Assured} from "../Assured.sol";
import {PROVEN} from "../IInference.sol";
import {Inference} from "../Inference.sol";
import {InferenceConsumer} from "../InferenceConsumer.sol";
import {ISettlement} from "../ISettlement.sol";

/// @title A neutral consumer for any model, the twin of contracts/examples/Ask.vy
/// @notice Asks through the precompile at a chosen assurance, insured, or later by a callback, and keeps the outputs.
///         Read it to see how each way is done.
contract Ask is Assured {
    uint8 private constant WAITING = 1;
    uint8 private constant PROVISIONAL = 2;
    uint8 private constant FINAL = 3;
    uint8 private constant REVERSED = 4;

    struct Answer {
        uint8 state; // 0 none, 1 waiting, 2 provisional, 3 final, 4 reversed
        uint8 assurance;
        uint256 compensation; // wei
        int256[] outputs; // 18 decimals
    }

    event Answered(bytes32 indexed id, uint8 state, uint8 assurance, int256[] outputs);

    address public immutable owner;
    bytes32 public last_id;
    mapping(bytes32 => Answer) private answers;

    constructor(ISettlement settlement) InferenceConsumer(settlement) {
        owner = msg.sender;
    }

    /// @notice Ask the precompile; the answer is there when the transaction is in a block. With PROVEN it is final and
    ///         there is no trust gap; with less it stays provisional.
    function ask(bytes32 model_id, int256[] calldata inputs, uint8 min_assurance) external returns (int256[] memory) {
        (int256[] memory outputs, bytes32 receiptId) = Inference.infer(model_id, inputs, min_assurance);
        _requireAssurance(receiptId, min_assurance);
        _storeReceipt(receiptId, receiptId, outputs);
        return outputs;
    }

    /// @notice Ask a model that may have no one correct output. The answer stays provisional for good: the assurance
    ///         says who answered, and nothing can show that the answer is wrong.
    function ask_open(bytes32 model_id, int256[] calldata inputs, uint8 min_assurance)
        external
        returns (int256[] memory)
    {
        (int256[] memory outputs, bytes32 receiptId) = Inference.inferOpen(model_id, inputs, min_assurance);
        _requireAssurance(receiptId, min_assurance);
        _storeReceipt(receiptId, receiptId, outputs);
        return outputs;
    }

    /// @notice Ask the precompile and insure the answer. The ether sent is the operator's fee. Reverts when the
    ///         operator's bond does not cover the value at risk.
    function ask_insured(bytes32 model_id, int256[] calldata inputs, uint8 min_assurance, uint256 value_at_risk)
        external
        payable
        returns (bytes32)
    {
        (int256[] memory outputs, bytes32 receiptId) = Inference.infer(model_id, inputs, min_assurance);
        bytes32 requestId = _insure(receiptId, model_id, inputs, value_at_risk, msg.value);
        _storeReceipt(requestId, receiptId, outputs);
        return requestId;
    }

    /// @notice Ask asynchronously, on any chain. The ether sent is the operator's fee.
    function ask_later(bytes32 model_id, int256[] calldata inputs, ISettlement.Policy calldata policy)
        external
        payable
        returns (bytes32)
    {
        bytes32 requestId = _request(model_id, inputs, policy, msg.value);
        _store(requestId, WAITING, 0, new int256[](0));
        return requestId;
    }

    /// @notice Ask the precompile without storing anything.
    function peek(bytes32 model_id, int256[] calldata inputs, uint8 min_assurance)
        external
        view
        returns (int256[] memory outputs)
    {
        (outputs,) = Inference.inferView(model_id, inputs, min_assurance);
    }

    /// @notice Fetch refunds and compensations from Settlement and send them to the owner.
    function collect() external returns (uint256) {
        require(msg.sender == owner, "ask: only the owner");
        uint256 amount = _collect();
        (bool sent,) = owner.call{value: amount}("");
        require(sent, "ask: owner refuses");
        return amount;
    }

    function on_inference(bytes32 request_id, int256[] calldata outputs, uint8 assurance) external onlySettlement {
        _store(request_id, PROVISIONAL, assurance, outputs);
    }

    function on_inference_final(bytes32 request_id, int256[] calldata outputs, uint8 assurance)
        external
        onlySettlement
    {
        _release(request_id);
        _store(request_id, FINAL, assurance, outputs);
    }

    function on_inference_reversed(bytes32 request_id, int256[] calldata outputs, uint256 compensation)
        external
        onlySettlement
    {
        _release(request_id);
        answers[request_id].compensation = compensation;
        _store(request_id, REVERSED, outputs.length > 0 ? PROVEN : 0, outputs);
    }

    function answer_of(bytes32 id) external view returns (Answer memory) {
        return answers[id];
    }

    function total_exposure() external view returns (uint256) {
        return totalExposure;
    }

    function _storeReceipt(bytes32 id, bytes32 receiptId, int256[] memory outputs) private {
        uint8 assurance = Inference.assuranceOf(receiptId);
        _store(id, assurance == PROVEN ? FINAL : PROVISIONAL, assurance, outputs);
    }

    function _store(bytes32 id, uint8 state, uint8 assurance, int256[] memory outputs) private {
        Answer storage answer = answers[id];
        answer.state = state;
        answer.assurance = assurance;
        answer.outputs = outputs;
        last_id = id;
        emit Answered(id, state, assurance, outputs);
    }
}
