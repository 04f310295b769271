"""What members of a cell do to agree on a policy: a class of tests to be made a child of.

A test module gives a fixture `start`, which makes a member of the cell of its own that the test has.
"""

from collections.abc import Callable, Iterable
from functools import partial

import pytest

from steering.cluster.policy_agreement import claim
from steering.cluster.policy_records import ACK, PROPOSAL, PolicyProposal, record_text
from steering.model.cluster import PolicyEvent
from steering.model.control import PolicyDisagreement, PolicyText
from steering.store.etcd.etcd_store import CHUNK
from steering.store.policy_history import KEPT, History
from tests.support.policy_members import FIRST, PolicyMember, Writing, eventually

Start = Callable[..., PolicyMember]
TEXT = "policy: 1\n# another one\n"
LONG_TEXT = "policy: 1\n" + "# of many words\n" * (2 * CHUNK // 16)


def all_go_by(cell: Iterable[PolicyMember], version: int, text: str) -> bool:
    return all(one.user.now == PolicyText(version, text) for one in cell)


class PolicyContract:
    """The contract; `start` is a fixture of the module that uses it."""

    @pytest.fixture
    def cell(self, start: Start) -> list[PolicyMember]:
        """Three members that go by the first policy."""
        members = [start(name) for name in "abc"]
        History(members[0].store).apply(FIRST, "start", 1.0)
        claim(members[0].keys, 1, FIRST)
        eventually(lambda: all(one.follower.revision for one in members))
        return members

    @pytest.mark.parametrize("text", [TEXT, LONG_TEXT], ids=["short", "in chunks"])
    def test_a_policy_of_any_member_is_in_force_at_all(self, cell: list[PolicyMember], text: str) -> None:
        for version, writer in enumerate(cell, 2):
            new = f"{text}# {version}\n"
            assert writer.put(new) == version
            assert writer.user.now == PolicyText(version, new)
            eventually(partial(all_go_by, cell, version, new))
            eventually(lambda: len({one.follower.revision for one in cell}) == 1)
        # Each checked what others wrote, once, before it was in force anywhere.
        assert [one.user.checks for one in cell] == [2, 2, 2]
        assert all(one.user.began == [2, 3, 4] and one.follower.seconds is not None for one in cell)
        assert all(one.follower.events == {PolicyEvent.ACTIVATED: 3} for one in cell)
        history = History(cell[0].store)
        assert [one.version for one in history.versions()] == [4, 3, 2, 1]
        assert [one.who for one in history.versions()][:3] == ["c", "b", "a"]
        heads = {name.rpartition("/")[0] for name in cell[0].left()}
        assert len(heads) == (3 if text is LONG_TEXT else 0) and all(
            "chunks/policies/" in one for one in heads
        )

    @pytest.mark.parametrize("text", [TEXT, LONG_TEXT], ids=["short", "in chunks"])
    def test_what_one_refuses_is_in_force_nowhere(self, cell: list[PolicyMember], text: str) -> None:
        first, second, third = cell
        second.user.refuses = "another" if text is TEXT else "words"
        with pytest.raises(PolicyDisagreement, match="b refuses it: no such MCP") as refused:
            first.put(text)
        assert refused.value.refused == {"b": "no such MCP"}
        assert first.left() == [] and History(first.store).numbers() == [1]
        assert first.follower.events == {PolicyEvent.REFUSED: 1}
        assert third.put("policy: 1\n") == 1, "the number is free again, and this is what is in force"
        assert third.put("policy: 1\n# 2\n") == 2
        eventually(lambda: all(one.user.began == [2] for one in cell))
        assert second.follower.events[PolicyEvent.TURNED_DOWN] == 1

    def test_who_is_not_prepared_in_time_is_named_and_it_is_in_force_nowhere(
        self, cell: list[PolicyMember]
    ) -> None:
        first, second, third = cell
        second.user.wait()
        writing = Writing(first, LONG_TEXT)
        eventually(lambda: first.keys.get(f"{ACK}c"))
        why = writing.expire(first)
        assert (
            isinstance(why, PolicyDisagreement) and "not prepared in time: b;" in str(why) and not why.refused
        )
        assert first.left() == [] and first.follower.events == {PolicyEvent.LATE: 1}
        second.user.go_on()
        # What it would have said is no answer to the next one.
        assert third.put(TEXT) == 2
        eventually(lambda: all(one.user.began == [2] for one in cell))
        assert first.left() == []

    def test_who_dies_meanwhile_counts_no_longer(self, cell: list[PolicyMember]) -> None:
        first, second, third = cell
        second.user.wait()
        writing = Writing(first, TEXT)
        eventually(lambda: first.keys.get(f"{ACK}c") and second.user.checks)
        assert writing.found is None
        first._cluster.revoke(second.lease)
        assert writing.over() == 2
        eventually(lambda: third.user.began == [2])
        # It was cut off, and is there again.
        second.user.go_on()
        eventually(lambda: second.user.began == [2])

    def test_who_joins_meanwhile_is_not_waited_for_and_goes_by_it(
        self, cell: list[PolicyMember], start: Start
    ) -> None:
        first, second, _ = cell
        second.user.wait()
        writing = Writing(first, TEXT)
        eventually(lambda: second.user.checks)
        fourth = start("d", waits=True)
        eventually(lambda: fourth.user.checks)
        assert writing.found is None
        second.user.go_on()
        assert writing.over() == 2
        assert fourth.user.began == []
        fourth.user.go_on()
        eventually(lambda: fourth.user.began == [2])
        fifth = start("e", TEXT + "# of its own file\n")
        eventually(lambda: fifth.user.now == PolicyText(2, TEXT))

    def test_what_a_writer_leaves_that_dies_is_removed_by_the_others(self, cell: list[PolicyMember]) -> None:
        first, second, third = cell
        third.user.wait()
        writing = Writing(first, LONG_TEXT)
        eventually(lambda: first.keys.get(f"{ACK}b") and third.user.checks)

        def ends(seconds: float) -> None:
            raise SystemExit

        first.sleep = ends
        assert isinstance(writing.over(), SystemExit)
        assert second.keys.get(PROPOSAL) is not None
        first.die()
        eventually(lambda: not second.left())
        third.user.go_on()
        assert second.follower.events[PolicyEvent.LEFT_OVER] == 1
        assert third.put(TEXT) == 2
        eventually(lambda: second.user.began == third.user.began == [2])
        assert first.user.began == [] and second.left() == []

    @pytest.mark.parametrize("by", ["gone", "a", ""])
    def test_a_proposal_that_nobody_ends_is_removed_by_the_next_write(
        self, cell: list[PolicyMember], by: str
    ) -> None:
        first, second, third = cell
        head = first.store.stage("policies/2.json", LONG_TEXT)
        proposal = record_text(PolicyProposal("1", by, 2, head)) if by else "none of ours"
        first.keys.put(PROPOSAL, proposal)
        first.keys.put("chunks/policies/9.json/1000-dead/00000", "half of an old one")
        assert first.put(TEXT) == 2
        eventually(lambda: second.user.began == third.user.began == [2])
        assert first.follower.events[PolicyEvent.LEFT_OVER] == 1
        assert len(first.left()) == (
            0 if by else len(LONG_TEXT) // CHUNK + 1
        )  # those are removed when they are old

    def test_of_two_writers_one_is_first_and_both_are_in_force_in_turn(
        self, cell: list[PolicyMember]
    ) -> None:
        writings = [Writing(one, f"{TEXT}# {one.name}\n") for one in cell]
        assert {one.over() for one in writings} == {2, 3, 4}
        newest = History(cell[0].store).read(4).text
        eventually(partial(all_go_by, cell, 4, newest))
        assert cell[0].left() == []

    def test_what_a_writer_asks_for_holds_until_its_policy_is_in_force(
        self, cell: list[PolicyMember]
    ) -> None:
        """As If-Match does: of two that want to replace the same policy one does."""

        class Other(Exception):
            """Another policy is in force."""

        def unchanged(member: PolicyMember) -> Callable[[], None]:
            def look() -> None:
                if member.user.now.version != 1:
                    raise Other

            return look

        writings = [Writing(one, f"{TEXT}# {one.name}\n", unchanged(one)) for one in cell]
        found = [one.over() for one in writings]
        assert sorted(one for one in found if isinstance(one, int)) == [2]
        assert sum(isinstance(one, Other) for one in found) == 2
        eventually(lambda: all(one.user.now.version == 2 for one in cell))
        assert cell[0].left() == []

    def test_while_another_one_is_proposed_a_write_waits_and_then_says_so(
        self, cell: list[PolicyMember]
    ) -> None:
        first, second, third = cell
        third.user.wait()
        writing = Writing(first, TEXT)
        eventually(lambda: first.keys.get(PROPOSAL))
        later = Writing(second, TEXT + "# later\n")
        second.sleep = lambda seconds: second.now.__setitem__(0, second.now[0] + 1.0)
        why = later.over()
        assert isinstance(why, PolicyDisagreement) and "another one is proposed" in str(why)
        third.user.go_on()
        assert writing.over() == 2

    def test_an_error_that_nobody_foresaw_ends_no_watch(self, cell: list[PolicyMember]) -> None:
        first, second, _ = cell

        def fails() -> None:
            raise ZeroDivisionError("what is this")

        second.user.meanwhile = fails
        writing = Writing(first, TEXT)
        eventually(lambda: second.user.checks and first.keys.get(f"{ACK}c"))
        why = writing.expire(first)
        assert isinstance(why, PolicyDisagreement) and "not prepared in time: b;" in str(why)
        second.user.meanwhile = lambda: None
        assert first.put(TEXT) == 2
        eventually(lambda: second.user.began == [2])

    def test_only_so_many_versions_are_kept(self, cell: list[PolicyMember]) -> None:
        first = cell[0]
        for number in range(2, KEPT + 1):
            first.keys.put(f"kept/policies/{number}.json", "{}")
        assert first.put(TEXT) == KEPT + 1
        assert History(first.store).numbers() == list(range(KEPT + 1, 1, -1))

    def test_a_policy_in_force_that_a_member_cannot_use_is_not_taken(
        self, cell: list[PolicyMember], start: Start
    ) -> None:
        first = cell[0]
        assert first.put(TEXT) == 2
        late = start("d", refuses="another")
        eventually(lambda: late.follower.revision)
        assert late.follower.events == {PolicyEvent.NOT_TAKEN: 1} and late.user.now == PolicyText(1, FIRST)
        # Back to what it goes by: that is another version now.
        assert late.put(FIRST) == 3
        eventually(partial(all_go_by, [*cell, late], 3, FIRST))
