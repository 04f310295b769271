"""A client's TLS socket that one thread may read while others write, which Python's own does not promise."""

import socket
import ssl
import threading


class TlsSocket:
    """Over a connected socket; the handshake is done when it is made. Raises OSError as a socket does."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        self._plain = plain
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self._lock = threading.Lock()
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._plain.sendall(self._out.read())
                data = self._plain.recv(1 << 16)
                if not data:
                    raise ConnectionResetError from None
                self._in.write(data)
        self._plain.sendall(self._out.read())

    def sendall(self, data: bytes) -> None:
        with self._lock:
            self._tls.write(data)
            self._plain.sendall(self._out.read())

    def recv(self, size: int) -> bytes:
        while True:
            with self._lock:
                try:
                    return self._tls.read(size)
                except ssl.SSLWantReadError:
                    pass
            data = self._plain.recv(1 << 16)
            if not data:
                return b""
            with self._lock:
                self._in.write(data)

    def shutdown(self, how: int) -> None:
        self._plain.shutdown(how)

    def close(self) -> None:
        self._plain.close()
