"""A TCP proxy in front of PostgreSQL that delays, drops, cuts and counts: networks as they are, on one machine.

It reads along if the connection is not encrypted, so that it can count round trips and cut at given SQL.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread

CHUNK = 1 << 16
STARTUP = 196608
# What a client sends and waits for the answer to: a query, a sync, a password; and all that comes before the session.
AWAITED = b"QSp"
CUT_BEFORE, CUT_AFTER = "cut before it arrives", "cut before its answer arrives"


@dataclass
class Proxy:
    """Each attribute may be changed while connections are open.

    - `delay`: seconds that everything takes each way, in parallel, as on a long line.
    - `is_dropping`: new connections are taken, and nothing that is sent over them arrives.
    - `cut_before`: the connection that sends SQL with this end is cut, once, and the SQL does not arrive.
    - `cut_after`: likewise when the server has answered the SQL; the answer does not arrive.
    - `round_trips`: how often a client had to wait for an answer since this was last set.
    - `replace_at`: the message with that number of `round_trips` gets `replacement` in its place, once: SQL for the
      server, or what is above, `CUT_BEFORE` and `CUT_AFTER`. A login, which SQL cannot replace, is cut.
    """

    host: str
    port: int
    delay: float = 0.0
    is_dropping: bool = False
    cut_before: str | None = None
    cut_after: str | None = None
    round_trips: int = 0
    replace_at: int | None = None
    replacement: str = ""
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)), init=False)
    flows: "list[_Flow]" = field(default_factory=list, init=False)

    @property
    def environment(self) -> dict[str, str]:
        """The libpq variables that lead through here."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.listener.getsockname()[1]), "PGSSLMODE": "disable"}

    def drop(self) -> None:
        """From now on nothing that is sent over the open connections arrives, as when a firewall forgets them."""
        for flow in self.flows:
            flow.is_dropped = True

    def cut(self) -> None:
        """Close the open connections on both sides."""
        for flow in self.flows:
            flow.cut()

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self._open(client)

    def _open(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((self.host, self.port))
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flow = _Flow(client, server, self.is_dropping)
        self.flows.append(flow)
        messages = _Messages()
        self._carry(flow, client, server, lambda data: self._from_client(flow, data, messages.complete(data)))
        self._carry(flow, server, client, lambda data: b"" if flow.is_cut_by_answer else data)

    def _carry(
        self, flow: "_Flow", source: socket.socket, sink: socket.socket, passed: Callable[[bytes], bytes]
    ) -> None:
        """Carry what one side sends to the other, as far as it is passed on; nothing passed on is a cut.

        One thread takes it, and one hands it over when its time has come.
        """
        line: SimpleQueue[tuple[float, bytes]] = SimpleQueue()

        def take() -> None:
            data = b"-"
            while data:
                received = flow.received(source)
                data = passed(received)
                if received and not data:
                    flow.cut()
                line.put((time.monotonic() + self.delay, data))

        def hand_over() -> None:
            data = b"-"
            while data:
                due, data = line.get()
                time.sleep(max(0.0, due - time.monotonic()))
                flow.send(sink, data)

        for work in (take, hand_over):
            Thread(target=work, daemon=True).start()

    def _from_client(self, flow: "_Flow", data: bytes, messages: list[tuple[bytes, bytes]]) -> bytes:
        """What goes on to the server of the data that these messages end in."""
        for kind, content in messages:
            self.round_trips += kind in AWAITED
            sql = content.rstrip(b"\0 \n").decode(errors="replace") if kind == b"Q" else ""
            if self.cut_before and sql.endswith(self.cut_before):
                self.cut_before = None
                return b""
            if self.cut_after and sql.endswith(self.cut_after):
                self.cut_after = None
                flow.is_cut_by_answer = True
            if kind in AWAITED and self.round_trips == self.replace_at:
                self.replace_at = None
                return self._replaced(flow, data, is_login=not kind)
        return data

    def _replaced(self, flow: "_Flow", data: bytes, *, is_login: bool) -> bytes:
        if self.replacement == CUT_AFTER:
            flow.is_cut_by_answer = True
            return data
        if self.replacement == CUT_BEFORE or is_login:
            return b""
        sql = self.replacement.encode() + b"\0"
        return b"Q" + struct.pack("!I", len(sql) + 4) + sql


@dataclass
class _Flow:
    """One connection, from the client through here to the server."""

    client: socket.socket
    server: socket.socket
    is_dropped: bool
    is_cut_by_answer: bool = False

    def received(self, source: socket.socket) -> bytes:
        with suppress(OSError):
            return source.recv(CHUNK)
        return b""

    def send(self, sink: socket.socket, data: bytes) -> None:
        """Hand data over; none stands for the end, which does not arrive either if packets are dropped."""
        if self.is_dropped:
            return
        with suppress(OSError):
            if data:
                sink.sendall(data)
            else:
                sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclass
class _Messages:
    """What a client says, distinguished from the packets that it comes in."""

    rest: bytes = b""
    has_started: bool = False

    def complete(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The messages, as kind and content, that end in this packet; those before the session have no kind."""
        self.rest += data
        messages = []
        while message := self._next():
            messages.append(message)
        return messages

    def _next(self) -> tuple[bytes, bytes] | None:
        kind_bytes = int(self.has_started)
        if len(self.rest) < kind_bytes + 4:
            return None
        end = kind_bytes + int(struct.unpack_from("!I", self.rest, kind_bytes)[0])
        if len(self.rest) < end:
            return None
        kind, content, self.rest = self.rest[:kind_bytes], self.rest[kind_bytes + 4 : end], self.rest[end:]
        if not self.has_started:
            self.has_started = content[:4] == struct.pack("!I", STARTUP)
        return kind, content


@contextmanager
def proxy(host: str, port: int, delay: float = 0.0) -> Iterator[Proxy]:
    """A proxy to a server, running; its connections are cut at the end."""
    running = Proxy(host, port, delay)
    Thread(target=running.serve, daemon=True).start()
    try:
        yield running
    finally:
        with suppress(OSError):
            running.listener.shutdown(socket.SHUT_RDWR)
        running.listener.close()
        running.cut()
