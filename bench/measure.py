"""Starts a server and an agent in a scratch directory and measures them; see README.md. Never asserts."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "bench")]

import harness  # noqa: E402  (needs the path above)
import install  # noqa: E402

HOOKS = ["ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="deployments of each kind")
    parser.add_argument("--seconds", type=int, default=5, help="seconds of each load")
    parser.add_argument("--idle", type=int, default=15, help="seconds of rest before memory is read")
    parser.add_argument("--profile", default="release", help="directory below target/ with the binaries")
    parser.add_argument("--part", choices=["all", "large"], default="all", help="large: the large bundles only, into RESULTS-large.md")
    parser.add_argument("--no-results", action="store_true", help="print only, leave RESULTS.md alone")
    return parser.parse_args()


def machine() -> list[tuple[str, str]]:
    def first(path: str, prefix: str) -> str:
        lines = Path(path).read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(prefix)), "unknown")

    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, cwd=REPOSITORY).stdout.strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=REPOSITORY).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "--", "Cargo.toml", "Cargo.lock", "crates"], capture_output=True, text=True, cwd=REPOSITORY).stdout
    memory = int(first("/proc/meminfo", "MemTotal").split()[0]) / 1024 / 1024
    scratch = subprocess.run(["stat", "-f", "-c", "%T", REPOSITORY], capture_output=True, text=True).stdout.strip()
    return [
        ("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("commit", commit + (" with changes" if changed.strip() else "")),
        ("processors", f"{os.cpu_count()} x {first('/proc/cpuinfo', 'model name')}"),
        ("load before", " ".join(f"{value:.1f}" for value in os.getloadavg())),
        ("memory", f"{memory:.1f} GiB"),
        ("kernel", platform.release()),
        ("file system", scratch),
        ("rustc", rustc),
    ]


def memory(pid: int) -> dict[str, float]:
    """Resident memory in MB: all of it, and what is not the mapped program file."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {name: int(fields[name].split()[0]) / 1000 * 1.024 for name in ("VmRSS", "RssAnon")}


def processor_time(pid: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Bench:
    def __init__(self, options: argparse.Namespace, directory: Path):
        self.options = options
        self.directory = directory
        self.rows: list[tuple[str, str, str]] = []
        # One caller asks as fast as it can: what is measured is the server, not the limit of a caller.
        self.server = harness.Server(directory / "data", "--throttle.per-second", "0")
        self.fleet: harness.Fleet | None = None
        self.watched: list[str] = []

    def row(self, what: str, value: str, aim: str = "") -> None:
        self.rows.append((what, value, aim))
        print(f"{what:<66} {value:>24}  {aim}", flush=True)

    def run(self) -> None:
        self.server.start()
        try:
            time.sleep(2)
            self.memory_row("server, resident, just started", self.server.process.pid, "")
            self.fleet = harness.Fleet(self.server, self.directory).set_up(agents=1)
            if self.options.part == "large":
                self.large()
                return
            time.sleep(2)
            self.memory_row("agent, resident, just started", self.fleet.agents[0].process.pid, "")
            self.deployments()
            self.events()
            self.idle()
            self.memory_row("agent, resident, idle after the deployments", self.fleet.agents[0].process.pid, "< 10 MB")
            self.memory_row("server, resident, idle after the deployments", self.server.process.pid, "< 40 MB")
            self.requests()
            time.sleep(self.options.idle)
            self.memory_row("server, resident, idle after the load", self.server.process.pid, "< 40 MB")
            self.large()
        finally:
            if self.fleet:
                self.fleet.stop()
            self.server.terminate()
        self.commits()

    def large(self) -> None:
        for what in install.KINDS:
            install.Installation(self, what).run()
        time.sleep(self.options.idle)
        self.memory_row("agent, resident, idle after the large bundles", self.fleet.agents[0].process.pid, "")

    def memory_row(self, what: str, pid: int, aim: str) -> None:
        found = memory(pid)
        self.row(what, f"{found['VmRSS']:.1f} MB ({found['RssAnon']:.1f} anonymous)", aim)

    def idle(self) -> None:
        """What an agent costs that has nothing to do."""
        pid = self.fleet.agents[0].process.pid
        before = processor_time(pid)
        time.sleep(self.options.idle)
        used = (processor_time(pid) - before) * 1000 * 60 / self.options.idle
        self.row("agent, processor time, idle", f"{used:.0f} ms per minute")

    def events(self) -> None:
        """From the moment in which a command is there for the agent until its report is in."""
        took = {"ApplicationStart": [], "Install": []}
        for deployment in self.watched[-self.options.runs:]:
            events = self.fleet.events(deployment, self.fleet.agents[0].name)
            for name, values in took.items():
                values.append((events[name]["endTime"] - events[name]["startTime"]).total_seconds() * 1000)
        self.row("one event, an empty script, command to completion, median", f"{statistics.median(took['ApplicationStart']):.0f} ms")
        self.row("one event, Install of one file, command to completion, median", f"{statistics.median(took['Install']):.0f} ms")

    def deployments(self) -> None:
        files = {"index.txt": "hello\n"}
        appspec = f"version: 0.0\nos: linux\nfiles:\n  - source: index.txt\n    destination: {self.directory}/installed\n"
        self.fleet.push(harness.bundle(self.directory / "plain", appspec, files), key="plain.zip")
        appspec += "hooks:\n"
        for hook in HOOKS:
            appspec += f"  {hook}:\n    - location: {hook}.sh\n"
            files[f"{hook}.sh"] = "#!/bin/sh\nexit 0\n"
        self.fleet.push(harness.bundle(self.directory / "scripts", appspec, files), key="scripts.zip")
        for key, what in [("plain.zip", "seven events, one file"), ("scripts.zip", "seven events, one file, five scripts")]:
            self.deploy_many(key, what)

    def deploy_many(self, key: str, what: str) -> None:
        for _ in range(3):
            self.deploy(key)  # Connections, caches.
        watched = [self.deploy(key) for _ in range(self.options.runs)]
        # Whoever asks all the time takes processor time from what is measured: so once more, asking late.
        alone = [self.deploy(key, patience=0.3) for _ in range(self.options.runs)]
        for _, info in watched + alone:
            if info["status"] != "Succeeded":
                print(f"a deployment ended {info['status']}: {info.get('errorInformation')}", flush=True)
                return
        servers = [(info["completeTime"] - info["createTime"]).total_seconds() * 1000 for _, info in alone]
        walls = [wall for wall, _ in watched]
        for name, values in [("by the server's clock", servers), ("as a client sees it that asks", walls)]:
            self.row(f"{what}, {name}, median", f"{statistics.median(values):.0f} ms", "< 150 ms")
            self.row(f"{what}, {name}, p95", f"{percentile(values, 0.95):.0f} ms")

    def deploy(self, key: str, patience: float = 0) -> tuple[float, dict]:
        started = time.monotonic()
        self.last = self.fleet.deploy(key=key)
        self.watched.append(self.last)
        time.sleep(patience)
        while True:
            info = self.fleet.info(self.last)
            if info["status"] in {"Succeeded", "Failed", "Stopped"}:
                return (time.monotonic() - started) * 1000, info
            if time.monotonic() - started > 60:
                raise SystemExit(f"{self.last} does not end: {info}\n{self.fleet.agents[0].log()[-3000:]}")
            # Often enough to see the end, seldom enough not to be what is measured.
            time.sleep(0.01)

    def requests(self) -> None:
        keys = self.server._administrator()
        environment = os.environ | {"AWS_ACCESS_KEY_ID": keys["aws_access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"]}
        for connections in (1, 64):
            command = [
                harness.BINARIES / "slipway-bench-load",
                "--address", self.server.url.removeprefix("https://"),
                "--ca", self.server.directory / "ca.pem",
                "--deployment", self.last,
                "--connections", str(connections),
                "--seconds", str(self.options.seconds),
            ]
            result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=self.options.seconds + 60)
            if result.returncode:
                print(result.stderr, flush=True)
                continue
            found = json.loads(result.stdout)
            s = "" if connections == 1 else "s"
            self.row(f"GetDeployment, {connections} kept connection{s}", f"{found['per_second']:.0f} requests/s")
            self.row(f"GetDeployment, {connections} kept connection{s}, p50 and p99", f"{found['p50_ms']:.2f} / {found['p99_ms']:.2f} ms")

    def commits(self) -> None:
        program = harness.BINARIES / "examples" / "commit_rate"
        result = subprocess.run([program, self.directory], capture_output=True, text=True, timeout=300)
        for line in (result.stdout or result.stderr).splitlines():
            what, _, value = line.partition(":")
            what = " ".join(what.split()).replace("1 committers", "1 committer")
            self.row(f"store, {what}", " ".join(value.split()))


def report(facts: list[tuple[str, str]], rows: list[tuple[str, str, str]]) -> str:
    lines = ["# Results", "", f"Made by `bench/run {' '.join(sys.argv[1:])}`".rstrip("` ") + "`; [README.md](README.md) says what is measured.", ""]
    lines += ["| machine | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts), ""]
    lines += ["| measured | result | aim |", "|---|---|---|", *(f"| {what} | {value} | {aim} |" for what, value, aim in rows), ""]
    return "\n".join(lines)


def main() -> None:
    options = arguments()
    harness.BINARIES = REPOSITORY / "target" / options.profile
    facts = machine()
    for name, value in facts:
        print(f"{name:<14} {value}", flush=True)
    # On the disk of the repository: a temporary file system would not show what a sync costs.
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", dir=REPOSITORY / "target") as directory:
        bench = Bench(options, Path(directory))
        bench.run()
    if not options.no_results:
        name = "RESULTS.md" if options.part == "all" else f"RESULTS-{options.part}.md"
        (REPOSITORY / "bench" / name).write_text(report(facts, bench.rows))


if __name__ == "__main__":
    main()
