# SPDX-License-Identifier: Apache-2.0
"""A normal client beside an attack, for tests of faults.

Usage: beside.py PORT TOKEN COMMAND...
  ask N METHOD PATH [JSON]   N requests one after another; prints "p50 p99 most" in ms; the status is 1 unless all succeed
  send N PATH FILE...        N uploads at once, of the files in turn; prints "CODE COUNT" lines
  chunked N PATH BYTES       N uploads at once of so many blanks each, whose length is not told; prints "CODE COUNT" lines
  slow N PATH                N uploads that send a byte a second until SIGTERM
"""
import collections
import http.client
import signal
import sys
import threading
import time

port, token, command = int(sys.argv[1]), sys.argv[2], sys.argv[3]
count = int(sys.argv[4])
PIECE = b" " * 65535 + b"\n"


def connect():
    return http.client.HTTPConnection("127.0.0.1", port, timeout=300)


def request(connection, method, path, body=None, headers=()):
    connection.request(method, path, body=body, headers={"Authorization": f"Bearer {token}", **dict(headers)})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def ask(method, path, body=None):
    connection, took, failed = connect(), [], 0
    headers = {"Content-Type": "application/json"} if body else {}
    for _ in range(count):
        begun = time.monotonic()
        status = request(connection, method, path, body, headers)
        took.append((time.monotonic() - begun) * 1000)
        failed += status >= 300
    took.sort()
    print(f"{took[len(took) // 2]:.1f} {took[int(len(took) * 0.99)]:.1f} {took[-1]:.1f}")
    return failed


def at_once(one):
    codes, lock = collections.Counter(), threading.Lock()

    def run(i):
        try:
            code = one(i)
        except OSError:  # cut while it was sending
            code = 0
        with lock:
            codes[code] += 1

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for code in sorted(codes):
        print(code, codes[code])
    return 0


def send(path, *files):
    bodies = [open(file, "rb").read() for file in files]
    return at_once(lambda i: request(connect(), "POST", path, bodies[i % len(bodies)]))


def chunked(path, size):
    def pieces():
        for _ in range(int(size) // len(PIECE)):
            yield PIECE

    return at_once(lambda i: request(connect(), "POST", path, pieces()))


def slow(path):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    connections = []
    for _ in range(count):
        connection = connect()
        connection.putrequest("POST", path)
        connection.putheader("Authorization", f"Bearer {token}")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders()
        connections.append(connection)
    print("begun", flush=True)
    while signal.sigtimedwait([signal.SIGTERM], 1) is None:
        for connection in connections:
            try:
                connection.send(b" ")
            except OSError:
                pass
    return 0


sys.exit(1 if {"ask": ask, "send": send, "chunked": chunked, "slow": slow}[command](*sys.argv[5:]) else 0)
