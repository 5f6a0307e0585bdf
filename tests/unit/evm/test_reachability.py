"""Which transactions may ask for an inference: those that cannot are not run before their block."""

import pytest
from eth.vm.forks.prague.computation import PragueComputation
from hypothesis import given
from hypothesis import strategies as st

from foretell_evm.reachability import calls

CALLING = (0xF0, 0xF1, 0xF2, 0xF4, 0xF5, 0xFA)


@pytest.mark.parametrize("opcode", CALLING)
def test_calls__each_calling_instruction__is_found(opcode: int) -> None:
    assert calls(bytes([0x5F, 0x60, 0x01, opcode]))


@pytest.mark.parametrize("opcode", CALLING)
def test_calls__in_the_data_of_a_push__is_none(opcode: int) -> None:
    assert not calls(bytes([0x60, opcode, 0x00]))
    assert not calls(bytes([0x7F, *[opcode] * 32]))
    assert not calls(bytes([0x7F, *[opcode] * 5]))
    assert calls(bytes([0x7F, *[0] * 32, opcode]))


@pytest.mark.parametrize("code", [b"", b"\x00", b"\x60", b"\xfe" * 30_000])
def test_calls__nothing_to_call_with__is_false(code: bytes) -> None:
    assert not calls(code)


def by_hand(code: bytes) -> bool:
    at = 0
    while at < len(code):
        if code[at] in CALLING:
            return True
        at += 1 + (code[at] - 0x5F if 0x60 <= code[at] <= 0x7F else 0)
    return False


@given(st.lists(st.sampled_from([*range(0x58, 0x84), *CALLING, 0, 1]), max_size=80).map(bytes))
def test_calls__any_code__equals_a_walk_by_hand(code: bytes) -> None:
    assert calls(code) is by_hand(code)


def test_calling_instructions__are_all_of_the_fork() -> None:
    harmless = {"CALLER", "CALLVALUE", "CALLDATALOAD", "CALLDATASIZE", "CALLDATACOPY"}
    named = {
        code: getattr(opcode, "__wrapped__", opcode).mnemonic
        for code, opcode in PragueComputation.opcodes.items()
    }
    found = {
        code for code, name in named.items() if ("CALL" in name or "CREATE" in name) and name not in harmless
    }
    assert found == set(CALLING)
