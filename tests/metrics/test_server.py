"""A server of several processes, and its worker: one scrape tells of all."""

import time
from pathlib import Path

import httpx

from agentmesh_site.sharing_metrics import PREFIX
from tests.stream.server import Server, serving


def samples(server: Server) -> dict[str, float]:
    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_one_scrape_is_the_sum_over_the_web_processes_and_the_worker(
    quiet_env: dict[str, str], tmp_path: Path
) -> None:
    environment = quiet_env | {"TMPDIR": str(tmp_path), "AGENTMESH_LOG_FORMAT": "json"}
    with serving(environment, "--workers", "2", worker=True) as server:
        login = 'agentmesh_http_requests_total{method="GET",route="/admin/login/",status="200"}'
        for _ in range(30):  # each on a connection of its own, so that both processes get some
            httpx.get(f"{server.url}/admin/login/", trust_env=False)
        deadline = time.monotonic() + 20
        while True:
            found = samples(server)
            processes = {name for name in found if name.startswith("process_start_time_seconds")}
            swept = any(name.startswith("agentmesh_worker_sweeps") for name in found)
            if (swept and len(processes) == 3) or time.monotonic() > deadline:
                break
            time.sleep(0.1)

        assert found[login] == 30
        assert [samples(server)[login] for _ in range(4)] == [30] * 4  # whoever answers
        assert swept
        assert sorted(name.partition('process="')[2].partition('"')[0] for name in processes) == [
            "web",
            "web",
            "worker",
        ]
        ready = httpx.get(f"{server.url}/health/ready", trust_env=False)
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")
        assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 1

    assert list(tmp_path.glob(f"{PREFIX}*")) == []
