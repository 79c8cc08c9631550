# SPDX-License-Identifier: Apache-2.0
"""How the client asks again, on a server that answers by a script; and where it finds the address and the token."""
import collections
import http.server
import io
import json
import os
import tempfile
import threading
import unittest
from unittest import mock

from proxact import ApiError, Client, ConnectionFailed, ProxactError, ValidationError
from proxact.errors import JobFailed
from proxact.jobs import Job
from proxact.progress import Bar, duration, share_done
from proxact.transport import find_server, quote, with_query

Seen = collections.namedtuple("Seen", "method path headers body")


class Scripted:
    """A server whose answers are given: (status, headers, body), or None to hang up."""

    def __init__(self, *answers):
        self.answers, self.seen = list(answers), []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append(Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                answer = outer.answers.pop(0)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, text = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(headers.get("X-Lie", len(text))))
                self.end_headers()
                self.wfile.write(text)
                self.close_connection = "X-Lie" in headers

            do_GET = do_POST = do_DELETE = do_PATCH = do_HEAD = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *trace):
        self.server.shutdown()
        self.server.server_close()


def problem(status, code, headers=None, **more):
    body = {"type": "about:blank", "title": "T", "status": status, "detail": "D", "code": code, "hint": "H", "request_id": "r1", **more}
    return status, headers or {}, json.dumps(body).encode()


OK = (200, {}, b'{"version": "1", "items": [], "next": null}')


class Again(unittest.TestCase):
    def setUp(self):
        patch = mock.patch("proxact.transport.time.sleep")
        self.sleep = patch.start()
        self.addCleanup(patch.stop)

    def test_later_means_later(self):
        busy = problem(429, "rate_limited", {"Retry-After": "7"}), problem(503, "unavailable"), OK
        with Scripted(*busy) as server, Client(server.url, "t") as client:
            self.assertEqual(client.version(), "1")
            self.assertEqual([call.args[0] for call in self.sleep.call_args_list], [7.0, 0.5])

    def test_a_lost_answer_is_asked_for_with_the_same_key(self):
        with Scripted(OK, None, problem(409, "key_in_use", {"Retry-After": "1"}), OK) as server, Client(server.url, "t") as client:
            client.version()
            client.post("/v1/pipelines", {"dataset": "d"})
            keys = [seen.headers["idempotency-key"] for seen in server.seen[1:]]
            self.assertEqual((len(keys), len(set(keys))), (3, 1))
            server.answers.append(OK)
            client.post("/v1/pipelines", {"dataset": "d"})
            self.assertNotEqual(server.seen[-1].headers["idempotency-key"], keys[0])

    def test_a_fault_of_the_request_is_not_repeated(self):
        fault = problem(422, "bad_field", errors=[{"pointer": "/policies/0", "detail": "x"}])
        with Scripted(fault) as server, Client(server.url, "t") as client:
            with self.assertRaises(ValidationError) as caught:
                client.pipeline("d", policies=["no"])
            error = caught.exception
            self.assertEqual((error.status, error.code, error.pointer, error.hint, error.request_id), (422, "bad_field", "/policies/0", "H", "r1"))
            self.assertEqual(error.problem["title"], "T")
            self.assertIn("D (at /policies/0)", str(error))
            self.assertIn("hint: H", str(error))

    def test_it_gives_up(self):
        with Scripted(*[problem(503, "unavailable")] * 3) as server, Client(server.url, "t", tries=3) as client:
            self.assertRaises(ApiError, client.version)
            self.assertEqual(len(server.seen), 3)

    def test_it_does_not_wait_for_longer_than_a_minute(self):
        with Scripted(problem(429, "rate_limited", {"Retry-After": "3600"})) as server, Client(server.url, "t") as client:
            with self.assertRaises(ApiError) as caught:
                client.version()
            self.assertEqual(caught.exception.retry_after, 3600)

    def test_nobody_there_is_told_at_once(self):
        with Scripted() as server:
            url = server.url
        self.assertRaises(ConnectionFailed, Client(url, "t").version)
        self.sleep.assert_not_called()

    def test_a_removal_whose_answer_was_lost_is_one(self):
        with Scripted(OK, None, problem(404, "not_found")) as server, Client(server.url, "t") as client:
            client.version()
            client.delete_model("mdl_1")
            self.assertEqual([seen.method for seen in server.seen], ["GET", "DELETE", "DELETE"])

    def test_a_cut_download_is_fetched_again_and_leaves_nothing_else(self):
        with Scripted((200, {"X-Lie": "9"}, b"half"), (200, {}, b"the whole")) as server, Client(server.url, "t") as client:
            with tempfile.TemporaryDirectory() as folder:
                client.download("/x", os.path.join(folder, "file"))
                self.assertEqual(os.listdir(folder), ["file"])
                with open(os.path.join(folder, "file"), "rb") as file:
                    self.assertEqual(file.read(), b"the whole")

    def test_a_download_that_is_refused_leaves_the_file_alone(self):
        with Scripted(problem(404, "not_found")) as server, Client(server.url, "t") as client:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "file")
                with open(path, "w", encoding="ascii") as file:
                    file.write("before")
                self.assertRaises(ApiError, client.download, "/x", path)
                with open(path, encoding="ascii") as file:
                    self.assertEqual((file.read(), os.listdir(folder)), ("before", ["file"]))

    def test_a_redirect_is_not_followed(self):
        with Scripted((302, {"Location": "http://example.invalid/"}, b"")) as server, Client(server.url, "t") as client:
            self.assertRaises(ApiError, client.version)
            self.assertEqual(len(server.seen), 1)

    def test_pages_are_followed(self):
        pages = [(200, {}, json.dumps({"items": [{"id": n}], "next": n if n < 2 else None}).encode()) for n in range(3)]
        with Scripted(*pages) as server, Client(server.url, "t") as client:
            self.assertEqual([item["id"] for item in client.models()], [0, 1, 2])
            self.assertEqual(server.seen[1].path, "/v1/models?limit=100&before=0")

    def test_html_is_no_answer(self):
        with Scripted((200, {}, b"<html>")) as server, Client(server.url, "t") as client:
            with self.assertRaisesRegex(ProxactError, "not JSON"):
                client.version()

    def test_a_failed_job_carries_its_problem(self):
        job = {"id": "job_1", "kind": "label", "state": "failed", "reason": "oom", "error": {"detail": "no memory", "hint": "less"}}
        with Scripted((200, {}, json.dumps(job).encode())) as server, Client(server.url, "t") as client:
            with self.assertRaises(JobFailed) as caught:
                Job(client, {"id": "job_1", "kind": "label", "state": "queued"}).wait()
            self.assertEqual((caught.exception.problem["detail"], caught.exception.hint), ("no memory", "less"))


class Address(unittest.TestCase):
    def found(self, stored=None, url=None, token=None, **environment):
        with tempfile.TemporaryDirectory() as home:
            if stored:
                os.mkdir(os.path.join(home, "proxact"))
                with open(os.path.join(home, "proxact", "credentials"), "w", encoding="ascii") as file:
                    file.write(stored)
            with mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": home, **environment}, clear=True):
                return find_server(url, token)

    def test_arguments_then_environment_then_login(self):
        stored = "url = http://a\ntoken = ta\n"
        self.assertEqual(self.found(stored), ("http://a", "ta"))
        self.assertEqual(self.found(stored, PROXACT_URL="http://b", PROXACT_TOKEN="tb"), ("http://b", "tb"))
        self.assertEqual(self.found(stored, "http://c", "tc", PROXACT_URL="http://b", PROXACT_TOKEN="tb"), ("http://c", "tc"))

    def test_a_stored_token_goes_to_its_own_address_alone(self):
        self.assertEqual(self.found("url = http://a\ntoken = ta\n", PROXACT_URL="http://b"), ("http://b", ""))

    def test_no_address_is_an_error(self):
        self.assertRaisesRegex(ProxactError, "no server is known", self.found)
        self.assertRaisesRegex(ProxactError, "not an address", Client, "example.org:80", "t")

    def test_names_stay_in_their_segment(self):
        self.assertEqual(quote("a/../b c"), "a%2F..%2Fb%20c")
        for wrong in ("", ".", ".."):
            self.assertRaises(ProxactError, quote, wrong)
        self.assertEqual(with_query("/a", x=None, y=True, z="ä"), "/a?y=true&z=%C3%A4")


class Bars(unittest.TestCase):
    def test_a_pipelines_share_is_the_mean_over_its_jobs(self):
        children = [{"state": "succeeded"}, {"state": "running", "progress": {"step": 50, "total": 100}}]
        self.assertEqual(share_done({"state": "running", "children": children}), 0.75)

    def test_without_a_terminal_each_tenth_is_a_line(self):
        out = io.StringIO()
        bar = Bar("b", out)
        for percent in range(101):
            bar.show(percent / 100, "w")
        self.assertEqual(len(out.getvalue().splitlines()), 11)
        self.assertIn("100%", out.getvalue())

    def test_durations(self):
        self.assertEqual([duration(s) for s in (5, 65, 7800)], ["5 s", "1 min 05 s", "2 h 10 min"])


if __name__ == "__main__":
    unittest.main()
