// What a user of viem does: reads, sends of each type, contracts that ask a model, test methods, subscriptions.
import assert from 'node:assert/strict'
import {
  BaseError, ContractFunctionRevertedError, createPublicClient, createTestClient, createWalletClient, encodeFunctionData, http,
  parseAbi, parseEther, parseGwei, webSocket, zeroAddress,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'

const { url, key, model, abi, bytecode } = JSON.parse(process.env.SETTING)
const errors = parseAbi(['error InferenceError(uint8 reason)'])
const precompile = '0x00000000000000000000000000000000f07e7E11'
const inferred = parseAbi([
  'event Inferred(bytes32 indexed receiptId, bytes32 indexed model, address indexed operator, int256[] inputs, int256[] outputs, uint8 assurance)',
])
const account = privateKeyToAccount(key)
const to = '0x000000000000000000000000000000000000dEaD'
const miner = '0x000000000000000000000000000000000000beef'
const chain = foundry
const client = createPublicClient({ chain, transport: http(url), pollingInterval: 50 })
const wallet = createWalletClient({ chain, account, transport: http(url) })
const unlocked = createWalletClient({ chain, transport: http(url) })
const test = createTestClient({ chain, mode: 'anvil', transport: http(url) })
const mined = async (hash) => {
  const receipt = await client.waitForTransactionReceipt({ hash })
  assert.equal(receipt.status, 'success')
  return receipt
}

// Reads
assert.equal(await client.getChainId(), 31337)
const head = await client.getBlock({ includeTransactions: true })
assert.equal((await client.getBlock({ blockHash: head.hash })).number, head.number)
assert.equal((await client.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] })).baseFeePerGas.length > 1, true)
assert.equal((await client.getProof({ address: account.address, storageKeys: [] })).nonce >= 0, true)
assert.equal(await client.getBlobBaseFee(), 1n)

// Sends of each type that needs no blobs, signed here and by the node
for (const type of ['legacy', 'eip2930', 'eip1559']) {
  const accessList = type === 'legacy' ? undefined : [{ address: to, storageKeys: [] }]
  const { type: seen } = await mined(await wallet.sendTransaction({ to, value: 1n, type, accessList }))
  assert.equal(seen, type)
}
const [first] = await unlocked.getAddresses()
await mined(await unlocked.sendTransaction({ account: first, to, value: parseEther('1') }))
const authorization = await wallet.signAuthorization({ contractAddress: to, executor: 'self' })
const delegation = await mined(
  await wallet.sendTransaction({ to: account.address, authorizationList: [authorization] }),
)
assert.equal(delegation.type, 'eip7702')
assert.equal((await client.getDelegation({ address: account.address })).toLowerCase(), to.toLowerCase())
const revoked = await wallet.signAuthorization({ contractAddress: zeroAddress, executor: 'self' })
await mined(await wallet.sendTransaction({ to: account.address, authorizationList: [revoked] }))

// Simulated blocks
const simulated = await client.simulateBlocks({
  blocks: [
    { calls: [{ account, to, value: 5n }], stateOverrides: [{ address: miner, balance: 9n }] },
    { calls: [{ account: miner, to, value: 9n }] },
  ],
  traceTransfers: true,
})
assert.deepEqual(simulated.map((block) => block.calls[0].status), ['success', 'success'])
assert.equal(BigInt(simulated[1].calls[0].logs[0].data), 9n)
const { results } = await client.simulateCalls({ account, calls: [{ to, value: 5n }] })
assert.equal(results[0].status, 'success')

// A contract that asks a model
const { contractAddress: address } = await mined(await wallet.deployContract({ abi, bytecode, args: [model] }))
const dailyReturns = Array.from({ length: 22 }, (_, day) => BigInt(day) * 10n ** 15n)
const update = { address, abi: [...abi, ...errors], functionName: 'update', args: [dailyReturns] }
await client.simulateContract({ ...update, account })
assert.equal((await client.estimateContractGas({ ...update, account })) > 100_000n, true)
const asked = await mined(await wallet.writeContract(update))
assert.equal((await client.readContract({ address, abi, functionName: 'volatility' })) > 0n, true)
const [event] = await client.getContractEvents({ address: precompile, abi: inferred, blockHash: asked.blockHash })
assert.equal(event.args.model, model)
const data = encodeFunctionData({ abi, functionName: 'volatility' })
const { accessList } = await client.createAccessList({ account: account.address, to: address, data })
assert.equal(accessList[0].storageKeys.length, 1)
const stranger = (await mined(await wallet.deployContract({ abi, bytecode, args: [`0x${'11'.repeat(32)}`] })))
  .contractAddress
await assert.rejects(client.simulateContract({ ...update, address: stranger, account }), (error) => {
  assert.equal(error instanceof BaseError, true)
  const revert = error.walk((each) => each instanceof ContractFunctionRevertedError)
  assert.deepEqual([revert.data.errorName, revert.data.args], ['InferenceError', [5]])
  return true
})

// Test methods
const snapshot = await test.snapshot()
await test.setBalance({ address: to, value: parseEther('3') })
await test.impersonateAccount({ address: to })
await mined(await unlocked.sendTransaction({ account: to, to: account.address, value: parseEther('1') }))
await test.stopImpersonatingAccount({ address: to })
await test.setNextBlockBaseFeePerGas({ baseFeePerGas: parseGwei('20') })
await test.setBlockGasLimit({ gasLimit: 25_000_000n })
await test.setCoinbase({ address: miner })
await test.mine({ blocks: 1 })
const changed = await client.getBlock()
assert.deepEqual(
  [changed.baseFeePerGas, changed.gasLimit, changed.miner.toLowerCase()],
  [parseGwei('20'), 25_000_000n, miner],
)
await test.increaseTime({ seconds: 1_000 })
await test.setAutomine(false)
const waiting = await wallet.sendTransaction({ to, value: 1n })
assert.equal((await test.getTxpoolStatus()).pending, 1)
await test.dropTransaction({ hash: waiting })
assert.equal((await test.getTxpoolStatus()).pending, 0)
await test.setAutomine(true)
await test.revert({ id: snapshot })
assert.equal(await client.getBalance({ address: to }) < parseEther('3'), true)

// Subscriptions
const socket = createPublicClient({ chain, transport: webSocket(url.replace('http', 'ws')) })
const told = new Promise((resolve, reject) => {
  socket.watchBlockNumber({ onBlockNumber: resolve, onError: reject })
})
await new Promise((resolve) => setTimeout(resolve, 300))
await test.mine({ blocks: 1 })
assert.equal((await told) > 0n, true)

console.log('done')
process.exit(0)
