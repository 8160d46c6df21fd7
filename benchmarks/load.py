"""Load on a server: wrk for a rate over seconds, and many clients at once for one file."""

from __future__ import annotations

import selectors
import socket
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from servers import NoAnswerError, Server

SCRIPT = Path(__file__).with_name("wrk.lua")
CROWD_WITHIN = 120.0


class Load(NamedTuple):
    """What a server did under load."""

    rate: float
    """Requests per second, as wrk saw it."""
    p50: float
    """Milliseconds."""
    p99: float
    """Milliseconds."""
    per_cpu: float
    """Requests per CPU second of the server, all its processes together."""


def put_load(server: Server, path: str, headers: Mapping[str, str], *, clients: int, seconds: float) -> Load:
    """Ask for a path over so many connections, each again as soon as it is answered.

    Raises:
        NoAnswerError: there was none, or any failed.

    """
    argv = ["wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{seconds:.0f}s"]
    argv += ["--timeout", "30s", "--script", str(SCRIPT)]
    for name, value in headers.items():
        argv += ["--header", f"{name}: {value}"]
    before = server.cpu()
    done = subprocess.run([*argv, server.url + path], check=True, capture_output=True, text=True, timeout=seconds + 60)
    cpu = server.cpu() - before
    requests, microseconds, p50, p99, failed = map(float, done.stdout.rpartition("figures ")[2].split())
    if failed or not requests:
        raise NoAnswerError(f"{server.name}: {path}: {failed:.0f} of {requests:.0f} requests failed")
    return Load(requests / microseconds * 1e6, p50 / 1e3, p99 / 1e3, requests / max(cpu, 0.01))


def medians(loads: Sequence[Load]) -> Load:
    """Return the medians of several rounds."""
    return Load(*(statistics.median(column) for column in zip(*loads, strict=True)))


class Crowd(NamedTuple):
    """What became of many clients that asked for one file at once."""

    seconds: float
    """Until all of them had it."""
    bytes: int
    """Of all bodies together."""


def crowd(server: Server, path: str, clients: int, size: int) -> Crowd:
    """Let so many clients, each with a connection of its own, ask at once for a file of *size* bytes.

    Raises:
        NoAnswerError: one of them did not get all of it.

    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    buffer = bytearray(1 << 20)
    sockets = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(clients)]
    bodies = dict.fromkeys(sockets, -1)
    started = time.perf_counter()
    try:
        with selectors.DefaultSelector() as selector:
            for connection in sockets:
                connection.sendall(request)
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_READ)
            while selector.get_map():
                if time.perf_counter() - started > CROWD_WITHIN:
                    raise NoAnswerError(f"{server.name}: {path}: {len(selector.get_map())} clients still wait")
                for key, _ in selector.select(1):
                    connection = key.fileobj  # type: ignore[assignment] # what was registered
                    length = connection.recv_into(buffer)
                    if not length:
                        selector.unregister(connection)
                    elif bodies[connection] < 0:
                        head, _, body = bytes(buffer[:length]).partition(b"\r\n\r\n")
                        if not head.startswith(b"HTTP/1.1 200 "):
                            raise NoAnswerError(f"{server.name}: {path}: {head[:80]!r}")
                        bodies[connection] = len(body)
                    else:
                        bodies[connection] += length
    finally:
        for connection in sockets:
            connection.close()
    seconds = time.perf_counter() - started
    if wrong := [found for found in bodies.values() if found != size]:
        raise NoAnswerError(f"{server.name}: {path}: {len(wrong)} clients got {wrong[0]:,} bytes and not {size:,}")
    return Crowd(seconds, size * clients)
