"""The text table of the listings."""

from steering.cli.table import table


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right() -> None:
    text = table(["name", "sessions", "load"], [["core", 7, 0.25], ["edge of town", 12345, None]])
    assert text.split("\n") == [
        "name          sessions  load",
        "------------  --------  ----",
        "core                 7   0.2",
        "edge of town     12345     -",
    ]


def test_truth_and_nothing() -> None:
    assert table(["backup"], [[True], [False], [None]]).split("\n")[2:] == ["yes", "no", "-"]


def test_no_rows() -> None:
    assert table(["a", "bcd"], []) == "a  bcd\n-  ---"
