// Hardhat as its users configure it; but for the compiler, which is npm's, so that nothing is downloaded.
const { subtask } = require('hardhat/config')
const { TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD } = require('hardhat/builtin-tasks/task-names')
require('@nomicfoundation/hardhat-ethers')

subtask(TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD, async () => ({
  compilerPath: require.resolve('solc/soljson.js'),
  isSolcJs: true,
  version: '0.8.30',
  longVersion: require('solc').version().replace('.Emscripten.clang', ''),
}))

module.exports = {
  solidity: { version: '0.8.30', settings: { evmVersion: 'prague' } },
  networks: { foretell: { url: process.env.ETH_RPC_URL } },
}
