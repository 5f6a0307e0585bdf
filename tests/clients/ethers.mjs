// What a user of ethers does: a wallet, a signer of the node, contracts that ask a model, events, errors.
import assert from 'node:assert/strict'
import {
  AbiCoder, Contract, ContractFactory, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider, isError, parseEther, verifyTypedData,
} from 'ethers'

const { url, key, model, abi, bytecode } = JSON.parse(process.env.SETTING)
const to = '0x000000000000000000000000000000000000dEaD'
const provider = new JsonRpcProvider(url, undefined, { polling: true, pollingInterval: 50, cacheTimeout: -1 })
const wallet = new NonceManager(new Wallet(key, provider))

// Reads and sends
assert.equal((await provider.getNetwork()).chainId, 31337n)
const fees = await provider.getFeeData()
assert.equal(fees.maxFeePerGas > 0n, true)
const before = await provider.getBalance(to)
for (const type of [0, 1, 2]) {
  const receipt = await (await wallet.sendTransaction({ to, value: 1n, type })).wait()
  assert.deepEqual([receipt.status, receipt.type], [1, type])
}
const signer = await provider.getSigner(1)
await (await signer.sendTransaction({ to, value: parseEther('1') })).wait()
assert.equal(await provider.getBalance(to), before + 3n + parseEther('1'))
const domain = { name: 'clients' }
const types = { Vote: [{ name: 'choice', type: 'uint256' }] }
const signature = await signer.signTypedData(domain, types, { choice: 2 })
assert.equal(verifyTypedData(domain, types, { choice: 2 }, signature), signer.address)

// A contract that asks a model
const gauge = await (await new ContractFactory(abi, bytecode, wallet).deploy(model)).waitForDeployment()
const dailyReturns = Array.from({ length: 22 }, (_, day) => BigInt(day) * -(10n ** 15n))
assert.equal((await gauge.update.estimateGas(dailyReturns)) > 100_000n, true)
await gauge.update.staticCall(dailyReturns)
const receipt = await (await gauge.update(dailyReturns)).wait()
assert.equal((await gauge.volatility()) > 0n, true)
const precompile = new Contract('0x00000000000000000000000000000000f07e7E11', [
  'event Inferred(bytes32 indexed receiptId, bytes32 indexed model, address indexed operator, int256[] inputs, int256[] outputs, uint8 assurance)',
], provider)
const [event] = await precompile.queryFilter('Inferred', receipt.blockNumber, receipt.blockNumber)
assert.equal(event.args.model, model)
const withErrors = [...abi, 'error InferenceError(uint8 reason)']
const stranger = await (await new ContractFactory(withErrors, bytecode, wallet).deploy(`0x${'11'.repeat(32)}`))
  .waitForDeployment()
await assert.rejects(stranger.update.staticCall(dailyReturns), (error) => {
  assert.equal(isError(error, 'CALL_EXCEPTION'), true)
  assert.deepEqual([error.revert.name, error.revert.args[0]], ['InferenceError', 5n])
  return true
})
await assert.rejects(
  provider.call({ to: await gauge.getAddress(), data: '0xffffffff' }), (error) => isError(error, 'CALL_EXCEPTION'),
)

// What the node alone knows
const why = await provider.send('foretell_why', [receipt.hash])
assert.equal(why.status, 'included')
const trace = await provider.send('debug_traceTransaction', [receipt.hash, { tracer: 'callTracer' }])
const [, outputs] = [trace.calls[0].to, AbiCoder.defaultAbiCoder().decode(['int256[]', 'bytes32'], trace.calls[0].output)]
assert.equal(outputs[0][0], await gauge.volatility())

// Subscriptions
const socket = new WebSocketProvider(url.replace('http', 'ws'))
const told = new Promise((resolve) => socket.on('block', resolve))
await socket.getBlockNumber()
await new Promise((resolve) => setTimeout(resolve, 300))
await provider.send('anvil_mine', ['0x1'])
assert.equal((await told) > 0, true)

console.log('done')
process.exit(0)
