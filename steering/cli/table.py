"""Tables with numbers to the right. Each column is as wide as its widest cell. On a terminal, rich draws the table
within the terminal's width; with NO_COLOR set to anything, without colours and weights (no-color.org)."""

import io
import os
import shutil
import sys


def narrow(headers: list[str], rows: list[list[object]], wide: frozenset[str]) -> str:
    """A table without the columns whose headers are in `wide`, so that it fits 80 columns."""
    kept = [at for at, header in enumerate(headers) if header not in wide]
    return table([headers[at] for at in kept], [[row[at] for at in kept] for row in rows])


def table(headers: list[str], rows: list[list[object]]) -> str:
    """Lines of a table, without a newline at the end. None is shown as "-", a bool as yes or no."""
    cells = [[_text(cell) for cell in row] for row in rows]
    right = [_all_numbers([row[at] for row in rows]) for at in range(len(headers))]
    if sys.stdout.isatty():
        return _drawn(headers, cells, right)
    widths = [max(len(line[at]) for line in [headers, *cells]) for at in range(len(headers))]
    lines = [headers, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _drawn(headers: list[str], cells: list[list[str]], right: list[bool]) -> str:
    from rich import box  # imported here: it takes as long as a request, and only people need it
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for header, number in zip(headers, right, strict=True):
        drawn.add_column(Text(header), justify="right" if number else "left", overflow="fold")
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))  # as Text, so that [brackets] are not taken for markup
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        width=shutil.get_terminal_size().columns,
        highlight=False,
    )
    with console.capture() as capture:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)


def _all_numbers(column: list[object]) -> bool:
    present = [cell for cell in column if cell is not None]
    return bool(present) and all(
        isinstance(cell, int | float) and not isinstance(cell, bool) for cell in present
    )
