"""Sidecars: what comes back from JSON, what the root covers, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell_spec.bundle import Bundle
from foretell_spec.errors import SpecError
from foretell_spec.sidecar import MAX_AGREEING, MAX_ANSWERS, Answer, Dissent, Sidecar
from tests.kit.vectors import vectors

OPERATORS = ("0x" + "11" * 20, "0x" + "22" * 20, "0x" + "33" * 20)
words = st.binary(min_size=32, max_size=32)
tensors = st.lists(st.integers(-(2**100), 2**100), max_size=3).map(tuple)


def made(request_id: bytes, outputs: tuple[int, ...], operator: str = OPERATORS[0]) -> Bundle:
    return Bundle(request_id, b"\7" * 32, (1, 2), outputs, operator, signature=b"\5" * 65)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    request_id = draw(words)
    operators = draw(st.lists(st.sampled_from(OPERATORS), min_size=1, max_size=3, unique=True))
    return Answer(draw(tensors), tuple(made(request_id, draw(tensors), each) for each in operators))


@st.composite
def dissents(draw: st.DrawFn) -> Dissent:
    request_id = draw(words)
    first, second = draw(st.lists(tensors, min_size=2, max_size=2, unique=True))
    return Dissent(made(request_id, first), made(request_id, second, OPERATORS[1]))


sidecars = st.builds(
    Sidecar, st.lists(answers(), max_size=3).map(tuple), st.lists(dissents(), max_size=2).map(tuple)
)


@given(sidecars)
def test_from_json__undoes_to_json(sidecar: Sidecar) -> None:
    assert Sidecar.from_json(sidecar.to_json()) == sidecar


@given(sidecars, sidecars)
def test_root__equal_for_equal_sidecars_alone(first: Sidecar, second: Sidecar) -> None:
    assert (first.root == second.root) is (first == second)
    assert len(first.root) == (32 if first.answers or first.dissents else 0)


@given(dissents())
def test_claims__order_does_not_matter(dissent: Dissent) -> None:
    swapped = Dissent(dissent.second, dissent.first)
    assert swapped.claims == dissent.claims
    assert swapped.hash != dissent.hash


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["answers", "dissents", "outputs", "bundles", "first"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_from_json__anything__reads_or_raises_its_own_error(value: Any) -> None:
    try:
        sidecar = Sidecar.from_json(value)
    except SpecError:
        return
    assert sidecar.to_json() == {name: value[name] for name in ("answers", "dissents")}


def example() -> dict[str, Any]:
    (row,) = [row for row in vectors("bundle", "sidecar") if row["name"] == "one with a dissent"]
    return {"answers": row["answers"], "dissents": row["dissents"]}


def test_from_json__over_a_limit__refused() -> None:
    value = example()
    answer = value["answers"][0]
    with pytest.raises(SpecError, match="answers"):
        Sidecar.from_json({**value, "answers": [answer] * (MAX_ANSWERS + 1)})
    with pytest.raises(SpecError, match="bundles"):
        Answer.from_json({**answer, "bundles": answer["bundles"] * (MAX_AGREEING + 1)})


def test_answer__of_no_bundle_or_of_two_requests__refused() -> None:
    with pytest.raises(SpecError, match="1 to"):
        Answer((1,), ())
    with pytest.raises(SpecError, match="one request"):
        Answer((1,), (made(b"\1" * 32, (1,)), made(b"\2" * 32, (1,), OPERATORS[1])))


def test_dissent__of_one_output_or_of_two_requests__refused() -> None:
    with pytest.raises(SpecError, match="different outputs"):
        Dissent(made(b"\1" * 32, (1,)), made(b"\1" * 32, (1,), OPERATORS[1]))
    with pytest.raises(SpecError, match="one request"):
        Dissent(made(b"\1" * 32, (1,)), made(b"\2" * 32, (2,), OPERATORS[1]))
