"""The files of the live page, read once at the start from where the package is installed."""

from importlib.resources import files

FOLDER = "ui"
ENDINGS = (".html", ".js", ".css", ".svg")


def page_files() -> dict[str, bytes]:
    """File name -> contents."""
    folder = files("steering.northbound").joinpath(FOLDER)
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name.endswith(ENDINGS)}
