# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title OpenGradientCaller
@license Apache-2.0
@notice A caller of OpenGradient's precompiles in Vyper, for tests.
"""

from ..interfaces import IOpenGradient

INFERENCE: constant(address) = 0x00000000000000000000000000000000000000F4
HISTORICAL: constant(address) = 0x00000000000000000000000000000000000000F5

value: public(int128)
decimals: public(int128)


@external
def infer(cid: String[128], mode: uint8, numbers: DynArray[IOpenGradient.Number, 256]):
    tensor: IOpenGradient.NumberTensor = IOpenGradient.NumberTensor(
        name="x", values=numbers, shape=[convert(len(numbers), uint32)]
    )
    request: IOpenGradient.ModelRequest = IOpenGradient.ModelRequest(
        mode=mode, modelCID=cid, input=IOpenGradient.ModelInput(numbers=[tensor], strings=[])
    )
    self._keep(extcall IOpenGradient(INFERENCE).runModelInference(request))


# An inference on the first output: the second request is known only when the first is answered.
@external
def infer_twice(cid: String[128], mode: uint8, numbers: DynArray[IOpenGradient.Number, 256]):
    request: IOpenGradient.ModelRequest = IOpenGradient.ModelRequest(
        mode=mode,
        modelCID=cid,
        input=IOpenGradient.ModelInput(
            numbers=[
                IOpenGradient.NumberTensor(name="x", values=numbers, shape=[convert(len(numbers), uint32)])
            ],
            strings=[],
        ),
    )
    first: IOpenGradient.ModelOutput = extcall IOpenGradient(INFERENCE).runModelInference(request)
    request.input.numbers[0].values[0] = first.numbers[0].values[0]
    self._keep(extcall IOpenGradient(INFERENCE).runModelInference(request))


@external
def infer_on_prices(cid: String[128], query: IOpenGradient.HistoricalInputQuery):
    self._keep(extcall IOpenGradient(HISTORICAL).runInferenceOnPriceFeed(cid, "prices", query))


@external
def newest(query: IOpenGradient.HistoricalInputQuery) -> DynArray[IOpenGradient.Number, 256]:
    return extcall IOpenGradient(HISTORICAL).queryHistoricalCandles(query)


@internal
def _keep(output: IOpenGradient.ModelOutput):
    assert not output.is_simulation_result
    self.value = output.numbers[0].values[0].value
    self.decimals = output.numbers[0].values[0].decimals
