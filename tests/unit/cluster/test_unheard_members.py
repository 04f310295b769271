"""Who is not heard for long, and who is left out because of that."""

from steering.cluster.unheard_members import LEFT_OUT, UnheardMembers


def test_who_is_not_heard_for_long_is_left_out_until_it_is_heard() -> None:
    members = UnheardMembers()
    members.look({"b"}, True, 5.0)
    members.look({"b", "c"}, True, 4.9 + LEFT_OUT)
    assert not members.late
    members.look({"b", "c"}, True, 5.0 + LEFT_OUT)
    assert members.late == members.left_out == {"b"}
    members.look({"c"}, True, 6.0 + LEFT_OUT)
    members.look({"b", "c"}, True, 7.0 + LEFT_OUT)
    assert not members.late, "its time begins anew"


def test_who_hears_nobody_leaves_nobody_out() -> None:
    """Its own certificate may be the broken one: it would take the assigning of shares for its own task."""
    members = UnheardMembers()
    members.look({"b", "c"}, False, 5.0)
    members.look({"b", "c"}, False, 5.0 + LEFT_OUT)
    assert members.late == {"b", "c"} and not members.left_out
