# SPDX-License-Identifier: Apache-2.0
"""Bytes as they are, for tests of how requests are read.

Usage: raw_http.py PORT TOKEN     prints "ok NAME" or "FAIL NAME: why" for each case; the status is 1 if one failed

Each case is sent three ways: at once, byte by byte, and cut in two at every place that a parser could stumble over. The server
must answer with these codes and nothing else, and close the connection when the last of them is a refusal.
"""
import socket
import sys

port, token = int(sys.argv[1]), sys.argv[2]
AUTH = f"Authorization: Bearer {token}\r\n"
GET = f"GET /v1/workers HTTP/1.1\r\nHost: a\r\n{AUTH}\r\n"
FORGED = f"POST /v1/datasets HTTP/1.1\r\nHost: a\r\n{AUTH}Content-Type: application/json\r\nContent-Length: 46\r\n\r\n" \
         '{"name": "smuggled", "obs_dim":1, "act_dim":1}'


def post(headers, body=""):
    return f"POST /v1/datasets HTTP/1.1\r\nHost: a\r\n{AUTH}Content-Type: application/json\r\n{headers}\r\n{body}"


CHUNKED = "Transfer-Encoding: chunked\r\n"
# name, bytes, codes. "{}" as a body is a known request with a field missing: 422.
CASES = [
    ("two requests at once", GET + GET, [200, 200]),
    ("a body and a request behind it", post("Content-Length: 2\r\n", "{}") + GET, [422, 200]),
    ("chunks and a request behind them", post(CHUNKED, "1\r\n{\r\n1;a=b\r\n}\r\n0\r\nX: y\r\n\r\n") + GET, [422, 200]),
    ("a request without a token, then one with", "GET /v1/workers HTTP/1.1\r\nHost: a\r\n\r\n" + GET, [401, 200]),
    ("a folded Content-Length", post("X: a\r\n Content-Length: 2\r\n", FORGED), [400]),
    ("a folded length that continues", post("Content-Length: 0\r\n 2\r\n", FORGED), [400]),
    ("a folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n" + FORGED), [400]),
    ("a folded Authorization", f"GET /v1/workers HTTP/1.1\r\nHost: a\r\nX: b\r\n {AUTH}\r\n" + GET, [400]),
    ("a folded first header", f"GET /v1/workers HTTP/1.1\r\n Host: a\r\n{AUTH}\r\n" + GET, [400]),
    ("NUL in a value", f"GET /v1/workers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\0x\r\n\r\n" + GET, [400]),
    ("NUL in a length", post("Content-Length: 2\0" + "0\r\n", "{}"), [400]),
    ("NUL in a name", post("Content-Length\0: 2\r\n", "{}"), [400]),
    ("NUL in the path", f"GET /v1/workers\0/x HTTP/1.1\r\nHost: a\r\n{AUTH}\r\n", [400]),
    ("bare LF in the head", GET.replace("Host: a\r\n", "Host: a\n"), [400]),
    ("bare LF after the request line", GET.replace("1.1\r\n", "1.1\n"), [400]),
    ("bare LF before a body", post("Content-Length: 2\r\n").replace("\r\n\r\n", "\r\n\n") + "{}", [400]),
    ("bare CR", post("X: a\rContent-Length: 2\r\n", "{}"), [400]),
    ("a chunk line that ends with LF", post(CHUNKED, "2\n{}\r\n0\r\n\r\n") + FORGED, [400]),
    ("a chunk that ends with LF", post(CHUNKED, "2\r\n{}\n0\r\n\r\n") + FORGED, [400]),
    ("a last chunk that ends with LF", post(CHUNKED, "2\r\n{}\r\n0\n\n") + FORGED, [400]),
    ("trailers that end with LF", post(CHUNKED, "2\r\n{}\r\n0\r\n\n") + FORGED, [400]),
    ("folded trailers", post(CHUNKED, "2\r\n{}\r\n0\r\nX: a\r\n b\r\n\r\n") + FORGED, [400]),
    ("a chunk longer than it says", post(CHUNKED, "1\r\n{}\r\n0\r\n\r\n") + FORGED, [400]),
    ("a chunk without a length", post(CHUNKED, "\r\n{}\r\n0\r\n\r\n") + FORGED, [400]),
    ("a chunk with a negative length", post(CHUNKED, "-2\r\n{}\r\n0\r\n\r\n"), [400]),
    ("a chunk whose length wraps around", post(CHUNKED, "10000000000000002\r\n{}\r\n0\r\n\r\n") + FORGED, [400]),
    ("NUL in a chunk's line", post(CHUNKED, "2;\0\r\n{}\r\n0\r\n\r\n") + FORGED, [400]),
    ("two lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), [400]),
    ("a list of lengths", post("Content-Length: 2, 2\r\n", "{}"), [400]),
    ("a length with a sign", post("Content-Length: +2\r\n", "{}"), [400]),
    ("a length beside a coding", post("Content-Length: 2\r\n" + CHUNKED, "0\r\n\r\n"), [400]),
    ("a coding that is not chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), [400]),
    ("a space before the colon", post("Content-Length : 2\r\n", "{}"), [400]),
    ("a tab before the colon", post("Content-Length\t: 2\r\n", "{}"), [400]),
    ("two Host headers", GET.replace("Host: a", "Host: a\r\nHost: b"), [400]),
    ("no Host", GET.replace("Host: a\r\n", ""), [400]),
    ("two Authorization headers", GET.replace(AUTH, AUTH + AUTH), [400]),
    ("an empty line first", "\r\n" + GET, [400]),
    ("a path with a space", GET.replace("/v1/workers", "/v1/wor kers"), [400]),
    ("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
    ("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400]),
    ("a good request, then a bad one", GET + GET.replace("Host: a\r\n", "Host: a\n"), [200, 400]),
    ("a body, then a bad request", post("Content-Length: 2\r\n", "{}") + GET.replace("Host: a\r\n", "Host: a\n"), [422, 400]),
    ("a bad request, then a good one", GET.replace("Host: a\r\n", "Host: a\n") + GET, [400]),
    ("headers that are too long", GET.replace("Host: a\r\n", "Host: a\r\n" + "X: 0123456789\r\n" * 1200), [431]),
    ("a line that never ends", "GET /" + "a" * 33000, [431]),
]


def answers(s):
    """The code of each answer, and whether it says that it is the last."""
    data = b""
    s.settimeout(30)
    while True:
        head, end, rest = data.partition(b"\r\n\r\n")
        if end:
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            if len(rest) >= length:
                data = rest[length:]
                yield int(head.split()[1]), b"connection: close" in head.lower()
                continue
        try:
            more = s.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            return
        data += more


def ask(pieces, expected):
    """None, or what is wrong."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                s.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has been refused already
        got = []
        for code, last in answers(s):
            got.append(code)
            if last or len(got) > len(expected):
                break
            if len(got) == len(expected) and code < 300:
                break
            if len(got) == len(expected):
                s.shutdown(socket.SHUT_WR)  # nothing more may come
        refused = expected[-1] in (400, 431)
        if got != expected:
            return f"answered {got}, not {expected}"
        return "" if not refused or last else "the connection was left open"


def ways(data):
    yield [data]
    if len(data) < 2000:
        yield [data[i:i + 1] for i in range(len(data))]
    for mark in (b"\r", b"\n", b"\0", b":", b" "):
        at = data.find(mark)
        if at >= 0:
            yield [data[:at + 1], data[at + 1:]]
        yield [piece + mark for piece in data.split(mark)[:-1]] + [data.split(mark)[-1]]


failed = 0
for name, text, expected in CASES:
    why = next((w for w in (ask(pieces, expected) for pieces in ways(text.encode("latin-1"))) if w), "")
    print(f"FAIL {name}: {why}" if why else f"ok {name}", flush=True)
    failed += bool(why)
sys.exit(failed > 0)
