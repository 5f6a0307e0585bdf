const assert = require('node:assert/strict')
const { ethers, network } = require('hardhat')

describe('Gauge', () => {
  const dailyReturns = Array.from({ length: 22 }, (_, day) => BigInt(day) * 10n ** 15n)

  it('keeps what the model says', async () => {
    const gauge = await ethers.deployContract('Gauge', [process.env.MODEL])
    await (await gauge.update(dailyReturns)).wait()
    assert.equal((await gauge.volatility()) > 0n, true)
  })

  it('shows why a model refuses', async () => {
    const gauge = await ethers.deployContract('Gauge', [ethers.ZeroHash])
    await assert.rejects(gauge.update.staticCall(dailyReturns), /reverted/)
  })

  it('uses the test methods', async () => {
    const [, other] = await ethers.getSigners()
    const snapshot = await network.provider.send('evm_snapshot')
    await network.provider.send('hardhat_setBalance', [other.address, '0x7'])
    assert.equal(await ethers.provider.getBalance(other.address), 7n)
    await network.provider.send('hardhat_mine', ['0x3', '0xc'])
    await network.provider.send('evm_revert', [snapshot])
    assert.equal((await ethers.provider.getBalance(other.address)) > 7n, true)
    const stranger = '0x00000000000000000000000000000000000000AA'
    await network.provider.send('hardhat_setBalance', [stranger, ethers.toQuantity(ethers.parseEther('1'))])
    const signer = await ethers.getImpersonatedSigner(stranger)
    await (await signer.sendTransaction({ to: other.address, value: 1n })).wait()
    await network.provider.send('hardhat_stopImpersonatingAccount', [stranger])
  })
})
