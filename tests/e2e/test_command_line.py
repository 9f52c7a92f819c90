"""The command line, typed as a newcomer would: up, status, logs, down, and again."""

import json
import os
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import urllib.request

import pytest

from merkato.chassis.engines import ports

PATIENCE_S = 90


def merkato(home, *words, **more):
    """Run a command to its end, with more in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "merkato", *words],
        env=os.environ | {"MERKATO_HOME": str(home)} | more,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def answer(port, path="/readyz"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return response.status


def state(home):
    return json.loads((home / "run/state.json").read_text())


@pytest.fixture(scope="module")
def shop(module_home):
    """A shop that was started in the background, with its port; stopped afterwards."""
    home, port = module_home, ports.pick()
    started = merkato(home, "up", "--detach", "--no-demo", "--port", str(port))
    assert started.returncode == 0, started.stdout + started.stderr
    yield home, port
    assert merkato(home, "down").returncode == 0


def test_up_opens_the_shop_and_says_where(shop):
    home, port = shop
    assert answer(port) == 200
    said = (home / "logs/up.log").read_text()
    assert f"The shop is open at http://127.0.0.1:{port}" in said
    assert "cards and mail are stand-ins" in said


def test_a_second_up_says_that_it_runs_already(shop):
    home, port = shop
    before = state(home)["pid"]
    for words in (["up"], ["up", "--detach"], ["up", "--each", "--port", "1"]):
        again = merkato(home, *words)
        assert again.returncode == 0
        assert f"Already runs at http://127.0.0.1:{port} since" in again.stdout
    assert state(home)["pid"] == before


def test_status_tells_what_runs(shop):
    home, port = shop
    told = merkato(home, "status")
    assert told.returncode == 0, told.stdout + told.stderr
    for name in ("postgres", "nats", "outside", "shop", f"127.0.0.1:{port}", "databases", "free"):
        assert name in told.stdout


def test_status_tells_what_is_not_well(shop):
    home, _ = shop
    (shop_process,) = [one for one in state(home)["children"] if one["name"] == "shop"]
    os.kill(shop_process["pid"], signal.SIGSTOP)
    try:
        told = merkato(home, "status")
    finally:
        os.kill(shop_process["pid"], signal.SIGCONT)
    assert told.returncode == 1


def test_logs_show_one_or_all(shop):
    home, _ = shop
    every = merkato(home, "logs")
    assert "postgres | " in every.stdout
    assert "nats     | " in every.stdout
    assert "database system is ready" in merkato(home, "logs", "postgres").stdout
    wrong = merkato(home, "logs", "nothing")
    assert wrong.returncode == 1
    assert "there are: " in wrong.stderr


def test_secrets_are_for_us_alone(shop):
    home, _ = shop
    kept = json.loads((home / "secrets.json").read_text())
    words = [*kept["postgres"].values(), *kept["nats"].values(), kept["order_token"]]
    for folder in ("logs", "run"):
        for file in (home / folder).iterdir():
            if any(word in file.read_text(errors="replace") for word in words):
                assert file.stat().st_mode & 0o077 == 0, file
                assert folder == "run", file


def test_down_and_up_again_keep_the_data(home):
    port = ports.pick()
    assert merkato(home, "up", "--detach", "--no-demo", "--port", str(port)).returncode == 0
    secrets = (home / "secrets.json").read_text()
    stopped = merkato(home, "down")
    assert "Stopped" in stopped.stdout
    assert ports.is_free(port)
    assert "Nothing runs" in merkato(home, "down").stdout
    assert merkato(home, "status").returncode == 3
    assert merkato(home, "up", "--detach", "--no-demo", "--port", str(port)).returncode == 0
    assert answer(port) == 200
    assert (home / "secrets.json").read_text() == secrets
    assert merkato(home, "down").returncode == 0


def test_a_killed_supervisor_does_not_stand_in_the_way(home):
    port = ports.pick()
    assert merkato(home, "up", "--detach", "--no-demo", "--port", str(port)).returncode == 0
    os.kill(state(home)["pid"], signal.SIGKILL)
    again = merkato(home, "up", "--detach", "--no-demo", "--port", str(port))
    assert again.returncode == 0, again.stdout + again.stderr
    assert answer(port) == 200
    assert merkato(home, "down").returncode == 0


def test_ctrl_c_stops_everything(home):
    port = ports.pick()
    process = subprocess.Popen(
        [sys.executable, "-m", "merkato", "up", "--no-demo", "--port", str(port)],
        env=os.environ | {"MERKATO_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if "The shop is open" in line:
            break
    pids = [one["pid"] for one in state(home)["children"]]
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(PATIENCE_S) == 0
    assert "Stopped; the data stay" in rest
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_a_taken_port_is_told_with_its_holder(home):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        refused = merkato(home, "up", "--port", str(port))
    assert refused.returncode == 1
    assert f"Port {port} is taken by" in refused.stderr
    assert f"(process {os.getpid()})" in refused.stderr
    assert "Traceback" not in refused.stderr


STARTING = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"


@pytest.mark.parametrize("answer", [b"", b"E" + struct.pack("!i", len(STARTING) + 4) + STARTING])
def test_a_database_that_does_not_answer_is_told(home, answer):
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.StreamRequestHandler) as server:
        server.RequestHandlerClass.handle = lambda asked: (
            asked.request.recv(8),
            asked.request.sendall(answer),
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"postgresql://a:b@127.0.0.1:{server.server_address[1]}/c?sslmode=disable"
        (home / "merkato.json").write_text(json.dumps({"database_urls": {"users": url}}))
        refused = merkato(home, "audit", MERKATO_CONFIG=str(home / "merkato.json"))
        server.shutdown()
    assert refused.returncode == 1
    assert refused.stderr.startswith("merkato: PostgreSQL does not answer: ")
    assert refused.stderr.endswith("; see merkato status.\n")


def test_a_folder_that_is_not_ours_is_refused(home):
    (home / "thesis.txt").write_text("years of work")
    refused = merkato(home, "up")
    assert refused.returncode == 1
    assert "holds other things" in refused.stderr


def test_a_process_per_service(home):
    port = ports.pick()
    started = merkato(home, "up", "--detach", "--no-demo", "--each", "--port", str(port))
    assert started.returncode == 0, started.stdout + started.stderr
    try:
        assert answer(port) == 200
        names = {one["name"] for one in state(home)["children"]}
        assert {"users", "orders", "payments", "gateway"} <= names
        orders = json.loads((home / "run/orders.json").read_text())
        assert list(orders["database_urls"]) == list(orders["nats_urls"]) == ["orders"]
        assert list(orders["keys"]["signing"]) == ["orders"]
        assert "payments" in orders["elsewhere"]
    finally:
        assert merkato(home, "down").returncode == 0
