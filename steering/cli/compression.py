"""Reads a file that may be compressed: gzip, bzip2 and xz are expanded while they are read. Other kinds are refused
by name.

Memory is bounded: expanded data are not stored, and xz may use `_XZ_MEMORY` bytes at most. The expanded size is
bounded by `MAX_EXPANDED`, since a few bytes of a hostile file can expand to very many.
"""

import bz2
import gzip
import lzma
import zlib
from typing import BinaryIO, Protocol

MAX_EXPANDED = 256 * 1024 * 1024
_XZ_MEMORY = 192 * 1024 * 1024  # the highest level of xz needs 65 MiB
_CHUNK = 64 * 1024
_OTHERS = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"LZIP": "lzip",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7-Zip",
    b"\x89LZO": "lzop",
}
MAGIC_LENGTH = 6  # first bytes of a file, which tell how it is compressed


class CompressionError(Exception):
    """The file has a kind of compression that is not supported, is damaged, or is too large. The text is one line."""


class ByteSource(Protocol):
    """Something from which bytes are read."""

    def read(self, size: int, /) -> bytes: ...


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def expanded(file: BinaryIO, magic: bytes) -> ByteSource:
    """The content of a file, expanded if the file is compressed. `magic`: its first bytes, which were only peeked at.

    Raises CompressionError for a kind of compression that is not supported. Reading raises it for damage.
    """
    for head, name in _OTHERS.items():
        if magic.startswith(head):
            raise CompressionError(
                f"compressed with {name}, which is not read here: decompress the file first"
            )
    if magic.startswith(b"\x1f\x8b"):
        return _ExpandedStream(gzip.GzipFile(fileobj=file, mode="rb"), "gzip")
    if magic.startswith(b"BZh"):
        return _ExpandedStream(_Streams(file, "bzip2"), "bzip2")
    if magic.startswith(b"\xfd7zXZ"):
        return _ExpandedStream(_Streams(file, "xz"), "xz")
    return file


class _ExpandedStream:
    """Bounds the expanded size, and turns the errors of all libraries into CompressionError."""

    def __init__(self, source: ByteSource, name: str) -> None:
        self._source = source
        self._name = name
        self._left = MAX_EXPANDED

    def read(self, size: int, /) -> bytes:
        try:
            data = self._source.read(size)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            raise CompressionError(f"the {self._name} data is damaged or cut off") from error
        self._left -= len(data)
        if self._left < 0:
            raise CompressionError(
                f"holds more than {MAX_EXPANDED >> 20} MiB: only its beginning was read; decompress the file first"
            )
        return data


class _Streams:
    """The compressed streams of a file, one after the other, as gzip, bzip2 and xz themselves read them."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._stream = self._new()

    def _new(self) -> _Decompressor:
        if self._name == "bzip2":
            return bz2.BZ2Decompressor()
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def read(self, size: int, /) -> bytes:
        found = b""
        while len(found) < size:
            raw = b""
            if self._stream.eof:
                raw = self._after_stream()
                if not raw:
                    break
                self._stream = self._new()
            elif self._stream.needs_input:
                raw = self._file.read(_CHUNK)
                if not raw:
                    raise EOFError
            found += self._stream.decompress(raw, size - len(found))
        return found

    def _after_stream(self) -> bytes:
        """The first bytes of the next stream. Zero bytes between streams are padding and are skipped."""
        raw = self._stream.unused_data.lstrip(b"\0")
        while not raw:
            chunk = self._file.read(_CHUNK)
            if not chunk:
                return b""
            raw = chunk.lstrip(b"\0")
        return raw
