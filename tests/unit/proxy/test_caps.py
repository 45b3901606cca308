from hypothesis import given
from hypothesis import strategies as st

from sumun.proxy.caps import CALLERS, Caps


def caps(connections: int = 3, handshakes: int = 2) -> tuple[Caps, list[str]]:
    told: list[str] = []
    return Caps(connections, handshakes, lambda client: client == "parent", told.append), told


def test_one_client_has_its_limits_and_another_is_served() -> None:
    made, told = caps()
    assert [made.admit("a", 0) for _ in range(3)] == [True, True, False]
    assert made.admit("b", 0)
    made.opened("a")
    assert [made.admit("a", 0) for _ in range(2)] == [True, False]
    made.opened("a")
    made.opened("a")
    assert not made.admit("a", 0)
    made.gone("a")
    assert made.admit("a", 0)
    assert told == ["handshakes", "connections", "connections"]


def test_a_parent_stands_for_many_and_all_together_have_a_limit() -> None:
    made, told = caps()
    assert all(made.admit("parent", 0) for _ in range(9))
    assert not made.admit("parent", CALLERS)
    assert told == ["total"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans())))
def test_nothing_is_left_of_those_who_have_gone(visits: list[tuple[str, bool]]) -> None:
    made, _ = caps()
    here: list[str] = []
    for client, comes in visits:
        if comes and made.admit(client, 0):
            here.append(client)
        elif not comes and client in here:
            here.remove(client)
            made.opened(client)
            made.gone(client)
        assert here.count(client) <= 2
    for client in here:
        made.opened(client)
        made.gone(client)
    assert [made.admit("a", 0), made.admit("b", 0)] == [True, True]
