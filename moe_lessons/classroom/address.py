"""Where a class listens, and under which address others find it."""

import socket

PORT = 8870


def reachable(ip: str) -> str:
    """The address under which others find this machine: where it listens, or the one that faces the network."""
    if ip not in ("", "*", "0.0.0.0", "::"):
        return f"[{ip}]" if ":" in ip else ip
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # an address for examples: nothing is sent, a way out is chosen
            return asked.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def taken(ip: str, port: int) -> bool:
    """Whether another program listens there."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((ip, port))
            return False
        except OSError:
            return True
