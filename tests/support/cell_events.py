"""Events of the controllers of a cell: how they come about, and a client of them."""

from tests.support.member_listener import Listener, Told
from tests.support.northbound_cell import NorthboundCell


class CellListener(Listener):
    """A client of the events of one controller of a cell."""

    def __init__(self, cell: NorthboundCell, name: str, last: str = "", query: str = "") -> None:
        super().__init__(cell.north[name].application, last, query)

    def ids(self) -> list[str]:
        """Of sessions that began, and words about controllers and gaps."""
        return [in_words(one) for one in self.told()]


def in_words(one: Told) -> str:
    """The id of a session, or a word about a controller or a gap."""
    kind, data = one
    if kind == "session":
        assert data["id"].startswith(f"{data['controller']}:")
        return str(data["id"])
    name = data.get("controller", "all")
    if kind == "controller":
        return f"{name} heard" if data["heard"] else f"{name} {data['why']}"
    return f"{kind} {name}"


def began(cell: NorthboundCell, **sessions: int) -> None:
    for name, count in sessions.items():
        cell.views[name].count += count
    cell.look()


def unheard(cell: NorthboundCell, **sessions: int) -> None:
    """They begin while nobody listens to their controller, which then notes no changes of sessions."""
    for name, count in sessions.items():
        cell.views[name].count += count
        cell.views[name].told = cell.views[name].count
    cell.look()


def reads_on(cell: NorthboundCell, listener: CellListener) -> tuple[list[Told], list[int]]:
    """What it reads whenever others have their turn, and how much each time."""
    found: list[Told] = []
    sizes: list[int] = []

    def pause() -> None:
        cell.pause = lambda: None
        told = listener.told()
        sizes.append(len(told))
        found.extend(told)
        cell.pause = pause

    cell.pause = pause
    return found, sizes


def cell_of_three() -> NorthboundCell:
    return NorthboundCell(a=0, b=0, c=0)
