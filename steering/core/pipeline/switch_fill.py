"""A switch that has connected, and what is still to be made of all that it is to hold."""

from steering.core.pipeline.pieces import Piece, PieceWork
from steering.model.ids import DatapathId


class Fill:
    """A switch that is being filled: destinations whose labels, and pieces, have still to be made."""

    __slots__ = ("begun", "making", "pieces", "targets")

    def __init__(self) -> None:
        self.begun = False
        self.targets: list[DatapathId] = []
        self.pieces: dict[Piece, None] = {}
        self.making: PieceWork | None = None

    def touch(self, piece: Piece) -> None:
        """A piece that was made, or is being made, may be another now."""
        self.pieces[piece] = None
        if self.making is not None and self.making.piece == piece:
            self.making = None
