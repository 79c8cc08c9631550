# SPDX-License-Identifier: Apache-2.0
"""A relay in front of PostgreSQL that cuts connections at COMMIT.

Usage: commit_cutter.py LISTEN_SOCKET SERVER_SOCKET CONTROL_FILE

Relays bytes between unix sockets. While the first word of CONTROL_FILE is "after", the next connection that sends a commit
is cut when the server has carried it out, before its answer comes through; with "before", before the commit reaches the
server. Each cut takes its word out of the file, so that a test sees it. Runs until it is ended.
"""
import pathlib
import select
import socket
import sys
import threading

COMMIT = b"Q\x00\x00\x00\x0bcommit\x00"  # a simple query, as libpq sends it


def take_word(control):
    words = control.read_text().split()
    control.write_text(" ".join(words[1:]))
    return words[0] if words else None


def from_client(data, server, control):
    """Whether the connection goes on."""
    word = take_word(control) if COMMIT in data else None
    if word != "before":
        server.sendall(data)
    if word == "after":
        server.recv(65536)  # what it answers: the commit is done
    return not word


def relay(client, server, control):
    with client, server:
        while True:
            for end in select.select([client, server], [], [])[0]:
                data = end.recv(65536)
                if not data:
                    return
                if end is server:
                    client.sendall(data)
                elif not from_client(data, server, control):
                    return


def serve(client, upstream, control):
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(upstream)
        relay(client, server, control)
    except OSError:
        pass


def main():
    listen, upstream, control = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(listen)
        door.listen(64)
        while True:
            client, _ = door.accept()
            threading.Thread(target=serve, args=(client, upstream, control), daemon=True).start()


main()
