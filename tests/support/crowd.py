# SPDX-License-Identifier: Apache-2.0
"""Many clients at once, for tests of a crowded server.

Usage: crowd.py PORT TOKEN COMMAND...     prints one line per finding; the status is 1 if the deed could not be done
  hold N PATH           opens N connections one after another, asks PATH on each, reads the answer, prints "held N" and keeps
                        all open until SIGTERM; then prints how many the server still has open: "open M"
  wait N PATH           the same without reading the answers
  ask N PATH            opens N connections one after another, with one request each, and prints "CODE COUNT" lines
  close N PATH          the same, but each closes its side before it reads its answer
  leave N PATH          begins N requests, each on a connection that it closes at once
  spend N PATH          N requests on one connection; prints "CODE COUNT" lines and the last Retry-After
"""
import collections
import select
import signal
import socket
import sys

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # sigwait takes it
port, token, command = int(sys.argv[1]), sys.argv[2], sys.argv[3]
count, path = int(sys.argv[4]), sys.argv[5]
REQUEST = f"GET {path} HTTP/1.1\r\nHost: crowd\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def connect():
    s = socket.create_connection(("127.0.0.1", port), timeout=60)
    return s


def answer(s):
    """(code, headers) of one answer, whose body is read too; (0, {}) when the connection ends before."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(65536)
        if not more:
            return 0, {}
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    left = int(headers.get("content-length", 0)) - len(body)
    while left > 0:
        left -= len(s.recv(65536)) or left
    return int(lines[0].split()[1]), headers


def is_open(s):
    readable = select.select([s], [], [], 0)[0]
    return not readable or s.recv(1, socket.MSG_PEEK) != b""


def keep(sockets):
    print(f"held {len(sockets)}", flush=True)
    signal.sigwait([signal.SIGTERM])
    print(f"open {sum(is_open(s) for s in sockets)}", flush=True)


def hold(read):
    sockets = []
    for _ in range(count):
        sockets.append(connect())
        sockets[-1].sendall(REQUEST)
        if read and (code := answer(sockets[-1])[0]) != 200:
            sys.exit(f"connection {len(sockets)} was answered {code}")
    keep(sockets)


def tell(codes):
    for code, n in sorted(codes.items()):
        print(code, n, flush=True)


def ask(close=False):
    codes = collections.Counter()
    for _ in range(count):
        with connect() as s:
            s.sendall(REQUEST)
            if close:
                s.shutdown(socket.SHUT_WR)
            codes[answer(s)[0]] += 1
    tell(codes)


def leave():
    body = REQUEST.replace(b"GET", b"POST")[:-2] + b"Content-Length: 1000\r\n\r\nnot all of it"
    for i in range(count):
        with connect() as s:
            s.sendall((REQUEST[: -1 - i % 20], body)[i % 2])


def spend():
    codes, again = collections.Counter(), None
    with connect() as s:
        for _ in range(count):
            s.sendall(REQUEST)
            code, headers = answer(s)
            codes[code] += 1
            again = headers.get("retry-after", again)
    tell(codes)
    print("retry-after", again)


{"hold": lambda: hold(True), "wait": lambda: hold(False), "ask": ask, "close": lambda: ask(True),
 "leave": leave, "spend": spend}[command]()
