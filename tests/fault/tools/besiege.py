# SPDX-License-Identifier: Apache-2.0
"""Clients that mean no good, for tests of what the server does beside them, and one that only asks.

Usage: besiege.py PORT COMMAND...
  attack KIND N ADDRESSES     N sockets without a token from so many addresses (127.0.0.2 and on), opened again whenever the server
                              closes one; prints "held" when all have been opened, and at SIGTERM "opened M", those opened in all.
                              KIND: body (67 MB declared, a byte a second), huge (10 GB declared), head (half a head, a byte a second),
                              silent (nothing at all), answers (asks much and reads nothing), mixed (each kind in turn)
  readers N PATH TOKEN        N sockets that ask for PATH and do not read; prints "held" when each has been answered, "full" when
                              one was told 503 with Retry-After; open until SIGTERM
  ask N PATH TOKEN NAME       N requests one after another, each on a new connection; prints "NAME: p50 ... p99 ...", and fails
                              when one is not answered 200
"""
import resource
import select
import signal
import socket
import sys
import time

port, command = int(sys.argv[1]), sys.argv[2]
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
ending = []
signal.signal(signal.SIGTERM, lambda *_: ending.append(True))

POST = b"POST /v1/datasets HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
BEGIN = {"body": POST % 67000000, "huge": POST % 10000000000, "head": b"GET /v1/datasets HTTP/1.1\r\nX: ", "silent": b"",
         "answers": b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 50}


def connect(address):
    s = socket.socket()
    s.setblocking(False)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.bind((address, 0))
    s.connect_ex(("127.0.0.1", port))
    return s


class Attacker:
    def __init__(self, kind, address):
        self.kind, self.address, self.socket = kind, address, None

    def open(self):
        if self.socket:
            self.socket.close()
        self.socket, self.begun = connect(self.address), False

    def push(self):
        """A byte more; False when the server has closed the connection."""
        try:
            if not self.begun:
                self.socket.send(BEGIN[self.kind])
                self.begun = True
            elif self.kind in ("body", "huge", "head"):
                self.socket.send(b"a")
            return self.kind == "answers" or self.socket.recv(65536) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False


def attack(kind, n, addresses):
    kinds = list(BEGIN) if kind == "mixed" else [kind]
    all_of_them = [Attacker(kinds[i % len(kinds)], f"127.0.0.{2 + i % addresses}") for i in range(n)]
    opened = 0
    for a in all_of_them:
        a.open()
        opened += 1
        if opened % 50 == 0:
            time.sleep(0.01)
    first = True
    while not ending:
        for a in all_of_them:
            if not a.push():
                a.open()
                opened += 1
        if first:
            print("held", flush=True)
        first = False
        select.select([], [], [], 1)
    print("opened", opened, flush=True)


def request(path, token):
    return f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def readers(n, path, token):
    held = []
    while len(held) < n and not ending:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", port))
        s.sendall(request(path, token))
        select.select([s], [], [], 60)
        head = s.recv(2048, socket.MSG_PEEK)
        if head.startswith(b"HTTP/1.1 503") and b"Retry-After: " in head:
            print("full", flush=True)
            break
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"reader {len(held)} was answered {head[:80]}")
        held.append(s)
    print("held", flush=True)
    while not ending:
        select.select([], [], [], 1)


def ask(n, path, token, name):
    times, failed = [], []
    for _ in range(n):
        began, data = time.monotonic(), b""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
                s.sendall(request(path, token).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                while more := s.recv(65536):
                    data += more
        except OSError as why:
            data = str(why).encode()
        times.append(1000 * (time.monotonic() - began))
        if not data.startswith(b"HTTP/1.1 200"):
            failed.append(data[:80])
    times.sort()
    print(f"{name}: {n} requests, p50 {times[n // 2]:.1f} ms, p99 {times[n * 99 // 100]:.1f} ms, {len(failed)} failed", flush=True)
    if failed:
        sys.exit(f"one was answered {failed[0]}")


args = [int(a) if a.isdigit() else a for a in sys.argv[3:]]
{"attack": attack, "readers": readers, "ask": ask}[command](*args)
