"""The server as a process of its own, over real sockets: what it does when killed, stopped, or talked to badly."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from slmrec.cli.main import main

from .conftest import tiny_sasrec


class Server:
    """A running `slmrec serve`."""

    def __init__(self, folder, *options: str) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "slmrec", "serve", str(folder / "model"), "--port", "0"]
        command += ["--store", str(folder / "events.sqlite"), *options]
        self.log = (folder / "log").open("a+")
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        assert self.said.startswith("serving model at http://127.0.0.1:"), (folder / "log").read_text()
        self.port = int(self.said.rsplit(":", 1)[1])

    def ask(self, method: str, path: str, body=None) -> tuple[int, dict]:
        """Status and JSON of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"content-type": "application/json"} if body is not None else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        told = response.status, json.loads(response.read())
        connection.close()
        return told

    def raw(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal it, and its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stdout.close()
        self.log.close()
        return code


def everything(connection: socket.socket) -> bytes:
    """What comes until the other end closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            found += piece
    return found


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


@pytest.fixture(scope="module")
def folder(cycle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    tiny_sasrec(cycle).save_pretrained(folder / "model")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    server = Server(folder, "--max-body", "100000")
    yield server
    server.end()


BODY = b'{"history": ["001"]}'
HEAD = b"POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % len(BODY)


def test_a_thousand_acknowledged_events_outlive_kill_9(folder):
    """Eight clients write while the server is killed; what was acknowledged is there after a restart."""
    server = Server(folder)
    acknowledged: list[tuple[str, int]] = []
    enough = threading.Event()

    def client(number: int) -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
            for event in range(100_000):
                body = json.dumps({"events": [{"event_id": event, "item_id": f"{event % 20:03}"}]})
                try:
                    connection.request("POST", f"/users/u{number}/events", body, {"content-type": "application/json"})
                    with connection.getresponse() as response:
                        told = json.loads(response.read())
                except (OSError, http.client.HTTPException, ValueError):
                    return  # it was killed
                assert (response.status, told) == (200, {"accepted": 1, "duplicates": 0})
                acknowledged.append((f"u{number}", event))
                if len(acknowledged) >= 1000:
                    enough.set()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    assert enough.wait(120)
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    for thread in threads:
        thread.join()
    assert len(acknowledged) >= 1000
    server = Server(folder)
    kept = set()
    for number in range(8):
        _, told = server.ask("GET", f"/users/u{number}/history")
        places = [int(event["event_id"]) for event in told["events"]]
        assert places == sorted(places)
        kept |= {(f"u{number}", place) for place in places}
    assert set(acknowledged) <= kept
    assert len(kept) <= len(acknowledged) + 8  # one each may have been written and not been acknowledged
    assert server.ask("POST", "/recommend", {"user": "u0"})[0] == 200
    assert server.end() == 0


def test_sigterm_lets_requests_end(folder):
    server = Server(folder)
    with server.raw() as connection:
        connection.sendall(HEAD + b"\r\n" + BODY[:5])
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            server.raw()
        connection.sendall(BODY[5:])
        assert statuses(everything(connection)) == [200]
    assert server.end() == 0
    assert json.loads((folder / "log").read_text().splitlines()[-1])["event"] == "stopped"


def test_a_body_of_100_mb_is_refused_before_it_is_read(server):
    for length in (b"content-length: 100000000", b"transfer-encoding: chunked"):
        with server.raw() as connection:
            connection.sendall(
                b"POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" + length + b"\r\n\r\n"
            )
            sent, piece = 0, b"%x\r\n%s\r\n" % (50_000, b" " * 50_000)
            connection.settimeout(0.2)
            answer = b""
            with contextlib.suppress(OSError):  # closed on us
                while sent < 20_000_000 and not answer:
                    connection.sendall(piece)
                    sent += len(piece)
                    with contextlib.suppress(TimeoutError):
                        answer = connection.recv(65536)
            assert statuses(answer) == [413]
            assert sent < 1_000_000


def test_pieces_pipelines_and_half_closed_connections_are_answered(server):
    with server.raw() as connection:  # byte by byte
        for byte in HEAD + b"connection: close\r\n\r\n" + BODY:
            connection.sendall(bytes([byte]))
        assert statuses(everything(connection)) == [200]
    with server.raw() as connection:  # two at once, and our side closed
        connection.sendall(2 * (HEAD + b"\r\n" + BODY))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(everything(connection)) == [200, 200]
    with server.raw() as connection:  # closed in the middle of a body
        connection.sendall(HEAD + b"\r\n" + BODY[:5])
        connection.shutdown(socket.SHUT_WR)
        assert everything(connection) == b""
    with server.raw() as connection:  # gone before the answer
        connection.sendall(HEAD + b"\r\n" + BODY)
    assert server.ask("GET", "/health") == (200, {"status": "alive"})


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /items/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /users/%ED%A0%80/history HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(server, sent):
    with server.raw() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert all(400 <= status < 500 for status in statuses(everything(connection)))
    assert server.ask("GET", "/health") == (200, {"status": "alive"})


def test_slow_clients_are_let_go(cycle, house):
    """On a thread, as the time limit is none of the command's."""
    import uvicorn

    from slmrec.serving import Fleet, Limits, create_app, load_served, open_store
    from slmrec.serving.served import ServedModel
    from slmrec.serving.server import listen, protocol

    limits = Limits(body_seconds=0.5)
    store = open_store(str(house.folder / "slow.sqlite"))
    fleet = Fleet([ServedModel("m", house.sasrec, "fp32", 1)], store, load_served)

    listening = listen("127.0.0.1", 0)
    app = create_app(fleet, store, limits=limits)
    config = uvicorn.Config(app, http=protocol(app, limits), ws="none", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    address = listening.getsockname()
    sent_late = {
        b"": [],  # not a word
        HEAD[:20]: [],  # half a head
        HEAD + b"\r\n" + BODY[:5]: [408],  # half a body
        HEAD + b"\r\n" + BODY + HEAD[:20]: [200],  # half a head on a connection that was good before
    }
    for sent, wanted in sent_late.items():
        with socket.create_connection(address, timeout=10) as connection:
            started = time.perf_counter()
            connection.sendall(sent)
            assert statuses(everything(connection)) == wanted
            assert 0.3 < time.perf_counter() - started < 5
    with socket.create_connection(address, timeout=10) as connection:  # one that dawdles with each byte
        started = time.perf_counter()
        with contextlib.suppress(OSError):
            for byte in HEAD:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)
        assert time.perf_counter() - started < 3
    server.should_exit = True
    thread.join()


def test_mistakes_are_told_before_anything_is_loaded(folder, server, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("SLMREC_API_KEY", raising=False)
    model = str(folder / "model")
    store = ["--store", str(tmp_path / "e.sqlite")]
    for words, said in (
        ([str(folder / "none")], "there is no model folder"),
        ([model, model], "two models are called 'model'"),
        ([model, "--host", "0.0.0.0"], "no API key is set"),
        ([model, "--port", str(server.port)], f"port {server.port} of 127.0.0.1 cannot be listened at"),
        ([model, "--host", "no.such.host.invalid", "--without-key"], "cannot be listened at"),
        ([model, "--port", "70000"], "must be a port"),
        ([model, "--store", str(folder)], "events cannot be kept"),
        ([], "required"),
    ):
        assert main(["serve", *(store if "--store" not in words else []), *words]) == 2
        assert said in capsys.readouterr().err, words


def test_a_missing_package_is_named_with_its_extra():
    code = "import sys; sys.modules['fastapi'] = None\nfrom slmrec.cli.main import main\nsys.exit(main(['serve', '.']))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (told.returncode, told.stderr.strip()) == (
        2,
        "slmrec: serving needs fastapi; install it with: pip install 'slmrec[serve]'",
    )


def test_a_request_that_finds_no_room_leaves_its_connection_whole(house, monkeypatch, capsys):
    """Refused at its head, with the body still to come; the next one on the connection is answered."""
    import uvicorn

    from slmrec.serving import Fleet, Limits, create_app, load_served, open_store
    from slmrec.serving.served import ServedModel
    from slmrec.serving.server import listen, protocol

    limits = Limits(body_seconds=0.5)
    store = open_store(str(house.folder / "room.sqlite"))
    app = create_app(Fleet([ServedModel("m", house.sasrec, "fp32", 1)], store, load_served), store, limits=limits)
    full = True
    monkeypatch.setattr(app.state.admission, "full", lambda: full)
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, http=protocol(app, limits), ws="none", log_config=None))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()

    def answer(read) -> tuple[int, dict]:
        status = int(read.readline().split()[1])
        headers = http.client.parse_headers(read)
        return status, json.loads(read.read(int(headers["content-length"])))

    with socket.create_connection(listening.getsockname(), timeout=10) as connection, connection.makefile("rb") as read:
        for _ in range(2):
            connection.sendall(HEAD + b"\r\n")  # the answer does not wait for the body
            status, told = answer(read)
            assert (status, told["error"]["code"]) == (429, "busy")
            connection.sendall(BODY)
        connection.sendall((HEAD + b"\r\n" + BODY) * 2)  # sent ahead
        assert [answer(read)[0] for _ in range(2)] == [429, 429]
        full = False
        connection.sendall(HEAD + b"\r\n" + BODY)
        assert answer(read)[0] == 200
        full = True
        connection.sendall(HEAD + b"connection: close\r\n\r\n" + BODY)
        assert statuses(everything(connection)) == [429]
    with socket.create_connection(listening.getsockname(), timeout=10) as connection:  # the body never comes
        connection.sendall(HEAD + b"\r\n")
        assert statuses(everything(connection)) == [429]
    with contextlib.closing(http.client.HTTPConnection(*listening.getsockname(), timeout=10)) as connection:
        connection.request("GET", "/metrics")  # which a full queue does not keep anybody from
        told = connection.getresponse().read().decode()
    assert 'slmrec_requests_total{method="POST",route="/recommend",status="429"} 6.0' in told
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["status"] for line in logged] == [429, 429, 429, 429, 200, 429, 429, 200]
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()
