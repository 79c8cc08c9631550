#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Uploads that go on whatever happens, and an honest history of them, in the format of lib/history.h.

   bulk.py HISTORY STOP     until the file STOP exists; PROXACT_URL and PROXACT_TOKEN name the service

One thread sends whole files without telling their length, one sends files in parts (tus). Each has a dataset of its own.
What was acknowledged is held against the service at once: an offset never goes back, a whole file's job is there.
A line of HISTORY carries the problem's code too, so that a lie of the service can be found.
"""
import base64, http.client, json, os, random, sys, threading, time

HOST = os.environ["PROXACT_URL"].removeprefix("http://")
TRAJECTORIES, STEPS, OBS, ACT, PART = 12, 120, 11, 3, 96 << 10
PAUSE_S, TIMEOUT_S, PATIENCE_S = 0.1, 30, 120
history, lock = open(sys.argv[1], "a"), threading.Lock()


def note(session, op, outcome, http_status=0, **more):
    line = {"t_ms": int(time.time() * 1000), "session": session, "variant": 0, "op": op, "outcome": outcome, "http": http_status}
    with lock:
        history.write(json.dumps(line | more) + "\n")
        history.flush()


def outcome(status):
    return "unknown" if status in (0, 504) else "acked" if 200 <= status < 300 else "refused"


def call(method, path, body=None, headers={}):
    """(status, headers, document); status 0 when no whole answer came."""
    try:
        c = http.client.HTTPConnection(HOST, timeout=TIMEOUT_S)
        try:
            c.request(method, path, body=body, headers=headers | {"Authorization": "Bearer " + os.environ["PROXACT_TOKEN"]})
        except (BrokenPipeError, ConnectionResetError):
            pass  # a refusal may have come before all was sent
        r = c.getresponse()
        text = r.read()
        c.close()
        return r.status, r.headers, json.loads(text) if text else {}
    except (OSError, http.client.HTTPException, ValueError):
        return 0, {}, {}


def row(rng, n):
    return [round(rng.uniform(-0.9, 0.9), 5) for _ in range(n)]


def file_of(session, n):
    rng = random.Random(f"{session} {n}")
    return "".join(json.dumps({"observations": [row(rng, OBS) for _ in range(STEPS + 1)], "rewards": row(rng, STEPS),
                               "actions": [row(rng, ACT) for _ in range(STEPS)], "terminated": False, "truncated": True}) + "\n"
                   for _ in range(TRAJECTORIES)).encode()


def make_dataset(session):
    body = json.dumps({"name": session, "obs_dim": OBS, "act_dim": ACT})
    while True:
        status, _, document = call("POST", "/v1/datasets", body, {"Content-Type": "application/json"})
        note(session, "dataset.0", outcome(status), status, id=document.get("id", ""), code=document.get("code", ""))
        if outcome(status) == "acked":
            return
        time.sleep(PAUSE_S)


def pieces(body):
    for at in range(0, len(body), PART):
        yield body[at:at + PART]


def send_whole(session, n):
    path = f"/v1/datasets/{session}/trajectories?format=jsonl"
    status, _, document = call("POST", path, pieces(file_of(session, n)), {"Content-Type": "application/jsonl"})
    note(session, f"upload.{n + 3}", outcome(status), status, code=document.get("code", ""))


def tus(method, path, body=None, **headers):
    return call(method, path, body, {"Tus-Resumable": "1.0.0"} | {k.replace("_", "-"): str(v) for k, v in headers.items()})


def begin_parts(session, n, body):
    """The upload's path; None when it was not made."""
    words = f"dataset {base64.b64encode(session.encode()).decode()},filename {base64.b64encode(b't.jsonl').decode()}"
    status, headers, document = tus("POST", "/v1/uploads", Upload_Length=len(body), Upload_Metadata=words)
    note(session, f"create.{n}", outcome(status), status, code=document.get("code", ""))
    return headers["Location"] if status == 201 else None


def send_parts(session, n):
    """One file in parts, until all of it is acknowledged; the ingest job's id."""
    body, acked, path, until = file_of(session, n), 0, None, time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        path = path or begin_parts(session, n, body)
        status, headers, _ = tus("GET", path) if path else (0, {}, {})
        if status == 404:
            note(session, f"offset.{n}", "wrong", status, error="an acknowledged upload is gone")
            return
        if status == 200:
            at = int(headers["Upload-Offset"])
            if at < acked:
                note(session, f"offset.{n}", "wrong", status, error=f"acknowledged {acked}, stored {at}")
            if headers.get("Proxact-Job"):
                return note(session, "upload.2", "acked", status, id=headers["Proxact-Job"])
            status, headers, document = tus("PATCH", path, body[at:at + PART], Upload_Offset=at, Content_Type="application/offset+octet-stream")
            note(session, f"part.{n}", outcome(status), status, code=document.get("code", ""))
            if status == 204:
                acked, until = int(headers["Upload-Offset"]), time.monotonic() + PATIENCE_S
                continue
        time.sleep(PAUSE_S)
    note(session, f"part.{n}", "stuck")


def go_on(send, session):
    make_dataset(session)
    n = 0
    while not os.path.exists(sys.argv[2]):
        send(session, n)
        n += 1
        time.sleep(PAUSE_S)


threads = [threading.Thread(target=go_on, args=a) for a in ((send_whole, "bulk-whole"), (send_parts, "bulk-parts"))]
for t in threads:
    t.start()
for t in threads:
    t.join()
