"""Who is silent, who is gone, and who was cut off."""

from steering.cluster.silent_members import SilentMembers


def of(*heard: str) -> SilentMembers:
    silence = SilentMembers()
    for name in heard:
        assert not silence.found(name)
    return silence


def test_who_is_silent_alone_is_gone() -> None:
    silence = of("b", "c")
    assert silence.lost(["b"], ["b", "c"]) and silence.gone == {"b"} and not silence.is_cut_off
    assert not silence.lost(["b"], ["b", "c"]), "it was before"
    assert silence.found("b") and not silence.gone and not silence.found("b")


def test_of_two_members_the_other_one_is_gone_when_it_is_silent() -> None:
    """Nobody else could say who was cut off."""
    silence = of("b")
    assert silence.lost(["b"], ["b"]) and silence.gone == {"b"} and not silence.is_cut_off


def test_where_all_are_silent_nobody_is_gone_before_etcd_says_so() -> None:
    silence = of("b", "c")
    assert silence.lost(["b", "c"], ["b", "c"])
    assert silence.silent == {"b", "c"} and not silence.gone and silence.is_cut_off
    silence.keep(["c"])  # the lease of b has ended: c is waited for all the same
    assert silence.silent == {"c"} and not silence.gone and silence.is_cut_off
    silence.keep([])
    assert not silence.is_cut_off


def test_when_one_is_heard_again_the_others_have_time_for_that_too() -> None:
    """Streams come back one after the other."""
    silence = of("b", "c")
    silence.lost(["b", "c"], ["b", "c"])
    assert silence.found("c")
    assert not silence.is_cut_off and not silence.gone and silence.silent == {"b"}
    silence.found("b")
    silence.lost(["b"], ["b", "c"])
    assert silence.gone == {"b"}


def test_the_last_one_that_is_silent_is_waited_for_where_another_one_was_before() -> None:
    silence = of("b", "c")
    silence.lost(["b"], ["b", "c"])
    silence.lost(["c"], ["b", "c"])
    assert silence.gone == {"b"} and silence.is_cut_off
    silence = of("b", "c")
    silence.lost(["b"], ["b", "c"])
    silence.keep(["c"])
    silence.lost(["c"], ["c"])
    assert silence.gone == {"c"}, "of two members"


def test_who_is_no_member_is_neither_silent_nor_heard() -> None:
    silence = of("b", "c")
    assert not silence.lost(["c"], ["b"]) and silence.heard == {"b"}
    assert silence.lost(["b"], ["b"]) and silence.gone == {"b"}
