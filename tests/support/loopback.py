"""Sockets of this machine that are connected to each other."""

import socket


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection; the first gives up waiting after 30 s."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    far.settimeout(30)
    return far, near
