# pragma version 0.4.3
# pragma nonreentrancy off
"""
@title CountingWorkflow
@license Apache-2.0
@notice A workflow for tests of TaskScheduler: counts its runs, can refuse them, and can try to run within a run.
"""

interface IScheduler:
    def execute(user: address, contractAddress: address): nonpayable

runs: public(uint256)
last_caller: public(address)
refuses: bool
again: address


@external
def set_refuses(refuses: bool):
    self.refuses = refuses


# Run once more, in each run, as the task of this user.
@external
def set_again(user: address):
    self.again = user


@external
def run():
    assert not self.refuses, "workflow: refused"
    self.runs += 1
    self.last_caller = msg.sender
    if self.again != empty(address):
        extcall IScheduler(msg.sender).execute(self.again, self, gas=msg.gas)
