"""What large bundles cost a host: DownloadBundle and Install of an agent, against `tar xf` and `cp -a` of the same tree."""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import time
from pathlib import Path

MIB = 1 << 20


def small_files(directory: Path) -> None:
    """10,000 files of 200 to 6,000 bytes in 100 directories."""
    noise = random.Random(1)
    for part in range(100):
        (directory / f"part{part}").mkdir()
        for number in range(100):
            (directory / f"part{part}" / f"file{number}").write_bytes(noise.randbytes(noise.randrange(200, 6000)))


def large_files(directory: Path) -> None:
    """Four files of 256 MiB that do not compress."""
    noise = random.Random(2)
    for number in range(4):
        with open(directory / f"file{number}", "wb") as file:
            for _ in range(256):
                file.write(noise.randbytes(MIB))


KINDS = {"10,000 small files": (small_files, 3), "1 GiB in four files": (large_files, 2)}


class Installation:
    """Deployments of one large bundle to one host."""

    def __init__(self, bench, what: str):
        self.bench = bench
        self.what = what
        self.make, self.runs = KINDS[what]
        self.directory = bench.directory / f"large-{len(what)}"
        self.installed = self.directory / "installed"
        self.archive = self.directory / "bundle.tar"

    def run(self) -> None:
        self.pack()
        pairs, parts, peaks = [], [], []
        for _ in range(self.runs):
            # Side by side, so that whatever else the machine does touches both.
            plain, durable = self.by_hand()
            mine, peak = self.by_agent()
            pairs.append((plain, durable, sum(mine)))
            parts.append(mine)
            peaks.append(peak)
        plain, durable, mine = (statistics.median(values) for values in zip(*pairs))
        row = self.bench.row
        row(f"{self.what}, tar xf and cp -a", f"{plain:.2f} s, {durable:.2f} s with sync")
        ratio = statistics.median(pair[2] / pair[0] for pair in pairs)
        synced = statistics.median(pair[2] / pair[1] for pair in pairs)
        download, install = (statistics.median(values) for values in zip(*parts))
        row(f"{self.what}, DownloadBundle and Install", f"{download:.2f} s and {install:.2f} s, {mine:.2f} s together")
        row(f"{self.what}, the agent's time to that of tar and cp", f"{ratio:.2f}, {synced:.2f} with sync", "<= 1.2")
        row(f"{self.what}, peak memory of the agent", f"{max(peaks):.1f} MB", "< 40 MB")
        shutil.rmtree(self.directory)

    def pack(self) -> None:
        revision = self.directory / "revision"
        (revision / "content").mkdir(parents=True)
        self.make(revision / "content")
        (revision / "appspec.yml").write_text(f"version: 0.0\nos: linux\nfiles:\n  - source: content\n    destination: {self.installed}\n")
        subprocess.run(["tar", "cf", self.archive, "-C", revision, "."], check=True)
        shutil.rmtree(revision)
        with open(self.archive, "rb") as body:
            # In one piece: then the agent also proves the content's digest.
            self.bench.server.client("s3").put_object(Bucket="revisions", Key=self.archive.name, Body=body)

    def by_hand(self) -> tuple[float, float]:
        unpacked, copied = self.directory / "unpacked", self.directory / "copied"
        subprocess.run(["sync", "-f", self.directory], check=True)
        started = time.monotonic()
        unpacked.mkdir()
        subprocess.run(["tar", "xf", self.archive, "-C", unpacked], check=True)
        subprocess.run(["cp", "-a", unpacked, copied], check=True)
        plain = time.monotonic() - started
        subprocess.run(["sync", "-f", self.directory], check=True)
        durable = time.monotonic() - started
        shutil.rmtree(unpacked)
        shutil.rmtree(copied)
        return plain, durable

    def by_agent(self) -> tuple[tuple[float, float], float]:
        fleet = self.bench.fleet
        agent = fleet.agents[0]
        # What an earlier deployment installed is not what is measured.
        shutil.rmtree(self.installed, ignore_errors=True)
        shutil.rmtree(agent.root / "deployment-instructions", ignore_errors=True)
        subprocess.run(["sync", "-f", self.directory], check=True)
        Path(f"/proc/{agent.process.pid}/clear_refs").write_text("5")
        location = {"bucket": "revisions", "key": self.archive.name, "bundleType": "tar"}
        deployment = fleet.codedeploy.create_deployment(
            applicationName="app", deploymentGroupName="group", revision={"revisionType": "S3", "s3Location": location},
        )["deploymentId"]
        info = fleet.ended(deployment, seconds=600)
        if info["status"] != "Succeeded":
            raise SystemExit(f"{deployment}: {info.get('errorInformation')}\n{agent.log()[-3000:]}")
        events = fleet.events(deployment, agent.name)
        took = tuple((events[name]["endTime"] - events[name]["startTime"]).total_seconds() for name in ("DownloadBundle", "Install"))
        status = Path(f"/proc/{agent.process.pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        shutil.rmtree(agent.deployment_directory(fleet.group_id, deployment))
        return took, peak / 1000 * 1.024
