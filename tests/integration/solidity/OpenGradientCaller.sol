// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Types and functions of OpenGradient's interfaces OGInference (SolidML), OGHistorical and ITEEVerifier, as far as
/// this caller needs them; names and order are the published ones.
struct Number {
    int128 value;
    int128 decimals;
}

struct NumberTensor {
    string name;
    Number[] values;
    uint32[] shape;
}

struct StringTensor {
    string name;
    string[] values;
}

struct JsonScalar {
    string name;
    string value;
}

struct ModelInput {
    NumberTensor[] numbers;
    StringTensor[] strings;
}

struct ModelOutput {
    NumberTensor[] numbers;
    StringTensor[] strings;
    JsonScalar[] jsons;
    bool is_simulation_result;
}

enum Mode {
    VANILLA,
    ZK,
    TEE
}

struct ModelRequest {
    Mode mode;
    string modelCID;
    ModelInput input;
}

struct HistoricalInputQuery {
    string base;
    string quote;
    uint32 total_candles;
    uint32 candle_duration_in_mins;
    uint8 order;
    uint8[] candle_types;
}

interface OGInference {
    function runModelInference(ModelRequest memory request) external returns (ModelOutput memory);
}

interface OGHistorical {
    function queryHistoricalCandles(HistoricalInputQuery memory input) external returns (Number[] memory);

    function runInferenceOnPriceFeed(
        string memory model_id,
        string memory input_name,
        HistoricalInputQuery memory input
    ) external returns (ModelOutput memory);
}

contract OpenGradientCaller {
    OGInference constant INFERENCE = OGInference(address(0xF4));
    OGHistorical constant HISTORICAL = OGHistorical(address(0xF5));

    int128 public value;
    int128 public decimals;
    bytes public refusal;

    function infer(string memory cid, uint8 mode, Number[] memory numbers) public {
        keep(INFERENCE.runModelInference(request(cid, mode, numbers)));
    }

    /// The second request is known only when the first is answered.
    function infer_twice(string memory cid, uint8 mode, Number[] memory numbers) external {
        ModelOutput memory first = INFERENCE.runModelInference(request(cid, mode, numbers));
        numbers[0] = first.numbers[0].values[0];
        keep(INFERENCE.runModelInference(request(cid, mode, numbers)));
    }

    function infer_on_prices(string memory cid, HistoricalInputQuery memory query) external {
        keep(HISTORICAL.runInferenceOnPriceFeed(cid, "prices", query));
    }

    function newest(HistoricalInputQuery memory query) external returns (Number[] memory) {
        return HISTORICAL.queryHistoricalCandles(query);
    }

    function try_infer(string memory cid, uint8 mode, Number[] memory numbers) external {
        try INFERENCE.runModelInference(request(cid, mode, numbers)) returns (ModelOutput memory output) {
            keep(output);
        } catch (bytes memory why) {
            refusal = why;
        }
    }

    function delegated(bytes memory data) external returns (bool done, bytes memory answer) {
        return address(INFERENCE).delegatecall(data);
    }

    function request(string memory cid, uint8 mode, Number[] memory numbers)
        internal
        pure
        returns (ModelRequest memory made)
    {
        uint32[] memory shape = new uint32[](1);
        shape[0] = uint32(numbers.length);
        made.mode = Mode(mode);
        made.modelCID = cid;
        made.input.numbers = new NumberTensor[](1);
        made.input.numbers[0] = NumberTensor("x", numbers, shape);
    }

    function keep(ModelOutput memory output) internal {
        require(!output.is_simulation_result, "a simulation");
        value = output.numbers[0].values[0].value;
        decimals = output.numbers[0].values[0].decimals;
    }
}
