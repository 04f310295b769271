"""A store in memory, whose values end with the process: for a northbound without a state directory, and for tests."""

from steering.store.interface import MOST_BYTES, StateError, StateRefusal, checked_name, checked_text


class MemoryStore:
    """Implements `interface.Store`. `values`: name -> text."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def read(self, name: str, most: int = MOST_BYTES) -> str | None:
        found = self.values.get(checked_name(name))
        if found is not None and len(found) > most:
            raise StateError(StateRefusal.TOO_LARGE, f"{name} is larger than {most} bytes")
        return None if found is None else found.strip()

    def write(self, name: str, text: str) -> None:
        checked_text(name, text)
        self.values[checked_name(name)] = text

    def create(self, name: str, text: str) -> bool:
        if checked_name(name) in self.values:
            return False
        self.write(name, text)
        return True

    def remove(self, name: str) -> None:
        self.values.pop(checked_name(name), None)

    def names(self, folder: str = "") -> list[str]:
        begin = f"{folder}/" if folder else ""
        found = (name.removeprefix(begin) for name in self.values if name.startswith(begin))
        return sorted(name for name in found if "/" not in name)
