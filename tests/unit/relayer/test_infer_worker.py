"""The process that stays: quick, replaced when it dies, never out of step."""

import os
import select
import signal
import threading

import psutil
import pytest

from foretell_relayer.infer.client import WORKER, InferenceWorker
from foretell_relayer.prove.errors import ChildTimedOut, EzklRefused, OutOfMemory, ProveError
from foretell_relayer.prove.limits import Limits

INPUTS = (256, 0, 0)
OUTPUTS = (160, 0)


@pytest.fixture
def worker():
    with InferenceWorker() as started:
        yield started


def test_witness__twice__same_process_same_answer(worker, tiny_circuit):
    assert worker.pid is None
    assert worker.witness(tiny_circuit.circuit, INPUTS) == OUTPUTS
    first = worker.pid

    assert worker.witness(tiny_circuit.circuit, INPUTS) == OUTPUTS
    assert worker.pid == first


def test_witness__process_killed_between__is_replaced(worker, tiny_circuit):
    worker.witness(tiny_circuit.circuit, INPUTS)
    dead = worker.pid
    os.kill(dead, signal.SIGKILL)

    assert worker.witness(tiny_circuit.circuit, INPUTS) == OUTPUTS
    assert worker.pid != dead


def test_witness__refused__process_stays(worker, tiny_circuit):
    worker.witness(tiny_circuit.circuit, INPUTS)
    before = worker.pid

    with pytest.raises(EzklRefused):
        worker.witness(tiny_circuit.circuit, (2**60, 0, 0))

    assert worker.pid == before
    assert worker.witness(tiny_circuit.circuit, INPUTS) == OUTPUTS


def test_witness__truncated_circuit__is_typed_error(worker, tiny_circuit, tmp_path):
    broken = tmp_path / "broken"
    broken.write_bytes(tiny_circuit.circuit.read_bytes()[:500])

    with pytest.raises(ProveError):
        worker.witness(broken, INPUTS)

    assert worker.witness(tiny_circuit.circuit, INPUTS) == OUTPUTS


def test_witness__process_stopped__times_out_and_recovers(tiny_circuit):
    with InferenceWorker(Limits(seconds=1, memory=WORKER.memory, file=WORKER.file)) as worker:
        worker.witness(tiny_circuit.circuit, INPUTS)
        os.kill(worker.pid, signal.SIGSTOP)

        with pytest.raises(ChildTimedOut, match="R-PRV-004"):
            worker.witness(tiny_circuit.circuit, INPUTS)

        assert worker.witness(tiny_circuit.circuit, INPUTS) == OUTPUTS


def test_witness__too_little_memory__is_out_of_memory(tiny_circuit):
    little = Limits(seconds=30, memory=40 << 20)
    with InferenceWorker(little) as worker, pytest.raises(OutOfMemory, match="needs more than 40 MiB"):
        worker.witness(tiny_circuit.circuit, INPUTS)


def test_witness__interrupted__next_answer_is_its_own(worker, tiny_circuit, monkeypatch):
    worker.witness(tiny_circuit.circuit, INPUTS)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(select, "select", interrupt)
        with pytest.raises(KeyboardInterrupt):
            worker.witness(tiny_circuit.circuit, (2048, 0, 0))

    assert worker.witness(tiny_circuit.circuit, INPUTS) == OUTPUTS


def test_witness__many_threads__everybody_gets_their_own_answer(worker, tiny_circuit):
    answers = {}

    def ask(number):
        answers[number] = worker.witness(tiny_circuit.circuit, (2 * number, 0, 0))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == {number: (number + 32, 0) for number in range(16)}


def test_close__process_is_gone_and_can_come_back(tiny_circuit):
    worker = InferenceWorker()
    worker.witness(tiny_circuit.circuit, INPUTS)
    process = psutil.Process(worker.pid)

    worker.close()

    assert not process.is_running()
    assert worker.witness(tiny_circuit.circuit, INPUTS) == OUTPUTS
    worker.close()
