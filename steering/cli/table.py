"""A text table: columns as wide as their widest cell, numbers to the right."""


def table(headers: list[str], rows: list[list[object]]) -> str:
    """Lines of a table, without a newline at the end. None is shown as "-", a bool as yes or no."""
    cells = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(line[at]) for line in [headers, *cells]) for at in range(len(headers))]
    right = [_all_numbers([row[at] for row in rows]) for at in range(len(headers))]
    lines = [headers, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


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
