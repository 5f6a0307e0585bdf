# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title TaskScheduler
@license Apache-2.0
@author Foretell
@notice Contracts with a function run() that are to be run again and again until a point in time.
@dev Functions, events, task keys and reasons are those of OpenGradient's published TaskScheduler; the code is our own.
     There, a part of the chain runs the tasks. Here anybody may, by execute(), when one is due: a run is a
     transaction like any other, that full nodes check.
@custom:invariant spaced: two runs of a task are at least its frequency apart, and none is after its end.
"""

interface IWorkflow:
    def run(): nonpayable

event TaskRegistered:
    user: indexed(address)
    contractAddress: indexed(address)
    endTime: uint256
    frequency: uint256

event TaskUpdated:
    user: indexed(address)
    contractAddress: indexed(address)
    newEndTime: uint256
    newFrequency: uint256

event TaskStopped:
    user: indexed(address)
    contractAddress: indexed(address)

# Not published: says that a run is over.
event TaskExecuted:
    user: indexed(address)
    contractAddress: indexed(address)

# Times in seconds; a user of zero is no task.
struct Task:
    user: address
    contractAddress: address
    endTime: uint256
    frequency: uint256

tasks: public(HashMap[bytes32, Task])   # by keccak256(abi.encode(user, contractAddress))
last_run: public(HashMap[bytes32, uint256])


@external
def registerTask(contractAddress: address, endTime: uint256, frequency: uint256):
    """
    @notice Have the caller's task run; the first run is due at once.
    @param contractAddress Contract whose run() is called.
    @param endTime Unix time from which it is not run any more.
    @param frequency Seconds between two runs.
    """
    self._check(endTime, frequency)
    key: bytes32 = self._key(msg.sender, contractAddress)
    assert self.tasks[key].user == empty(address), "Task already exists"
    self.tasks[key] = Task(
        user=msg.sender, contractAddress=contractAddress, endTime=endTime, frequency=frequency
    )
    log TaskRegistered(user=msg.sender, contractAddress=contractAddress, endTime=endTime, frequency=frequency)


@external
def updateTask(contractAddress: address, newEndTime: uint256, newFrequency: uint256):
    """
    @notice Change the end and the frequency of the caller's task.
    @param contractAddress The task's contract.
    @param newEndTime Unix time from which it is not run any more.
    @param newFrequency Seconds between two runs.
    """
    self._check(newEndTime, newFrequency)
    key: bytes32 = self._own(contractAddress)
    self.tasks[key].endTime = newEndTime
    self.tasks[key].frequency = newFrequency
    log TaskUpdated(
        user=msg.sender,
        contractAddress=contractAddress,
        newEndTime=newEndTime,
        newFrequency=newFrequency,
    )


@external
def stopTask(contractAddress: address):
    """
    @notice Forget the caller's task.
    @param contractAddress The task's contract.
    """
    key: bytes32 = self._own(contractAddress)
    self.tasks[key] = empty(Task)
    self.last_run[key] = 0
    log TaskStopped(user=msg.sender, contractAddress=contractAddress)


@external
def execute(user: address, contractAddress: address):
    """
    @notice Run a task that is due. Anybody may; a run that reverts is as if it had not been tried.
    @param user Who registered the task.
    @param contractAddress The task's contract.
    """
    key: bytes32 = self._key(user, contractAddress)
    assert self._is_due(key), "Task is not due"
    self.last_run[key] = block.timestamp
    extcall IWorkflow(contractAddress).run(gas=msg.gas)
    log TaskExecuted(user=user, contractAddress=contractAddress)


@external
@view
def is_due(user: address, contractAddress: address) -> bool:
    """
    @notice Whether execute() would run a task now.
    @param user Who registered the task.
    @param contractAddress The task's contract.
    @return Registered, not over, and long enough after its last run.
    """
    return self._is_due(self._key(user, contractAddress))


@internal
@view
def _is_due(key: bytes32) -> bool:
    task: Task = self.tasks[key]
    if task.user == empty(address) or block.timestamp >= task.endTime:
        return False
    last: uint256 = self.last_run[key]
    return last == 0 or block.timestamp - last >= task.frequency


@internal
@view
def _own(contractAddress: address) -> bytes32:
    key: bytes32 = self._key(msg.sender, contractAddress)
    assert self.tasks[key].user == msg.sender, "Task does not exist or unauthorized"
    return key


@internal
@view
def _check(end_time: uint256, frequency: uint256):
    assert frequency > 0, "Frequency must be greater than 0"
    assert end_time > block.timestamp, "End time must be in the future"


@internal
@pure
def _key(user: address, contract_address: address) -> bytes32:
    return keccak256(abi_encode(user, contract_address))
