"""The state of filling a switch that has connected."""

from steering.core.pipeline.pieces import PieceName, PieceWork
from steering.model.ids import DatapathId


class Fill:
    """A switch that is being filled. `targets`: destinations whose labels have still to be made. `pieces`: pieces that
    have still to be made. `making`: the piece that is being made."""

    __slots__ = ("begun", "making", "pieces", "targets")

    def __init__(self) -> None:
        self.begun = False
        self.targets: list[DatapathId] = []
        self.pieces: dict[PieceName, None] = {}
        self.making: PieceWork | None = None

    def touch(self, piece: PieceName) -> None:
        """A piece may have changed: make it, also if it was made or is being made."""
        self.pieces[piece] = None
        if self.making is not None and self.making.piece == piece:
            self.making = None
