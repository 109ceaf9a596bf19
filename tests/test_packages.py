"""The Debian packages, installed by dpkg in a copy of this system that nobody else sees (AP-23, AG-126, AG-130, AG-131)."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import BINARIES, REPOSITORY, bundle, eventually

STATE = "/opt/codedeploy-agent/deployment-root"
CONF = "/etc/codedeploy-agent/conf"

# The file system as it is, writable: what is written lives in memory and is gone with the namespace.
COPY = """set -e
mount -t tmpfs -o size=2g,mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
for directory in proc dev; do mount --rbind "/$directory" "$1/root/$directory"; done
mount -t tmpfs -o mode=755 tmpfs "$1/root/run"
mkdir -p "$1/root$2"
mount --rbind "$2" "$1/root$2"
echo ready
exec sleep infinity
"""


class System:
    """A copy of this system. `shared` is the same directory inside and outside."""

    def __init__(self, shared: Path):
        self.shared = shared
        self.mount = shared.parent / f"{shared.name}-system"
        self.mount.mkdir()
        user = [] if os.getuid() == 0 else ["--map-root-user"]
        self.holder = subprocess.Popen(
            ["unshare", *user, "--mount", "--propagation", "private", "sh", "-c", COPY, "sh", str(self.mount), str(shared)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        if self.holder.stdout.readline() != "ready\n":
            reason = self.holder.communicate()[1].strip()
            pytest.skip(f"this system lets nobody make a copy of it (root, or user namespaces with overlayfs, are needed): {reason}")

    def __call__(self, *command, check: bool = True, environment: dict | None = None) -> subprocess.CompletedProcess:
        user = [] if os.getuid() == 0 else ["--user", "--preserve-credentials"]
        done = subprocess.run(
            ["nsenter", f"--target={self.holder.pid}", *user, "--mount", "chroot", self.mount / "root", *command],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"} | (environment or {}),
            # Nobody is there to answer questions (AG-130).
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def exists(self, path: str) -> bool:
        return self("test", "-e", path, check=False).returncode == 0

    def read(self, path: str) -> str:
        return self("cat", path).stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        source = self.shared / ".write"
        source.write_text(text)
        self("install", "-D", "-m", f"{mode:o}", str(source), path)

    def close(self) -> None:
        if self.exists("/opt/codedeploy-agent/bin/codedeploy-agent"):
            self("/opt/codedeploy-agent/bin/codedeploy-agent", "stop", check=False)
        self.holder.kill()
        self.holder.wait()


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> dict[str, Path]:
    if not shutil.which("dpkg-deb"):
        pytest.skip("dpkg-deb is not here: this is no Debian system")
    output = tmp_path_factory.mktemp("packages")
    done = subprocess.run(
        [REPOSITORY / "packaging" / "build", "--binaries", BINARIES, "--output", output, "--compression", "none"],
        capture_output=True, text=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
    )
    assert done.returncode == 0, done.stderr
    return {Path(line).name.split("_")[0]: Path(line) for line in done.stdout.split()}


@pytest.fixture
def system(packages, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    system = System(shared)
    for package in packages.values():
        shutil.copy(package, shared)
    yield system
    system.close()


def installed(system, package):
    system("dpkg", "-i", f"{system.shared}/{package.name}")


def test_the_agent_is_installed_and_purged(system, packages):
    """AG-041, AG-080, AG-126, AG-130, AG-131, AG-134: where everybody looks for it; nothing stays."""
    installed(system, packages["codedeploy-agent"])
    version = re.search(r"^Version: (.*)$", system("dpkg", "-s", "codedeploy-agent").stdout, re.M).group(1)
    assert version.startswith("1:"), "newer than every version of the package that it takes the place of"
    assert system.read("/opt/codedeploy-agent/.version") == f"agent_version: SLIPWAY_1.8.1+{version[2:]}\n"
    for program in ["/opt/codedeploy-agent/bin/codedeploy-agent", "/usr/bin/slipway-agent"]:
        assert version[2:] in system(program, "--version").stdout
    assert system("/opt/codedeploy-agent/bin/codedeploy-local", "--help").stdout
    assert system("/usr/bin/codedeploy-local", "--help").stdout
    assert ":root_dir: '/opt/codedeploy-agent/deployment-root'" in system.read(f"{CONF}/codedeployagent.yml")
    assert system("/etc/init.d/codedeploy-agent", "status", check=False).returncode == 3
    nobody = system("/etc/init.d/codedeploy-agent", "start", check=False, environment={"AWS_EC2_METADATA_DISABLED": "true"})
    assert nobody.returncode != 0 and "Register this host first" in nobody.stderr
    usage = system("/etc/init.d/codedeploy-agent", "fly", check=False)
    assert usage.stdout == "Usage: /etc/init.d/codedeploy-agent {start|stop|status|restart}\n", "AG-047"
    if shutil.which("systemd-analyze"):
        verified = system("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/codedeploy-agent.service", check=False)
        assert "codedeploy-agent.service" not in verified.stderr, verified.stderr
    assert system("dpkg", "--verify", "codedeploy-agent").stdout == ""

    # What the operator wrote survives a removal, and nothing a purge.
    system.write(f"{CONF}/codedeployagent.yml", "# mine\n:verbose: true\n")
    system("dpkg", "--remove", "codedeploy-agent")
    assert "# mine" in system.read(f"{CONF}/codedeployagent.yml") and not system.exists("/usr/bin/slipway-agent")
    installed(system, packages["codedeploy-agent"])
    assert "# mine" in system.read(f"{CONF}/codedeployagent.yml")
    system("dpkg", "--purge", "codedeploy-agent")
    for path in ["/opt/codedeploy-agent", "/etc/codedeploy-agent", "/var/log/aws", "/etc/init.d/codedeploy-agent", "/etc/logrotate.d/codedeploy-agent"]:
        assert not system.exists(path), path


def official(system, server, group: str, old: Path) -> None:
    """A host that the other agent has deployed to, made by hand (AP-23): package, configuration, identity, state."""
    tree = system.shared / "official"
    files = {
        "DEBIAN/control": "Package: codedeploy-agent\nVersion: 1.7.0-92\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: the other agent\n",
        "opt/codedeploy-agent/bin/codedeploy-agent": "#!/bin/sh\nexit 0\n",
        "opt/codedeploy-agent/lib/agent.rb": "puts 'the other agent'\n",
        "opt/codedeploy-agent/.version": "agent_version: OFFICIAL_1.7.0-92_deb\n",
        "etc/init.d/codedeploy-agent": "#!/bin/sh\nexit 0\n",
        "etc/codedeploy-agent/conf/codedeployagent.yml": "---\n:verbose: false\n",
        "lib/systemd/system/codedeploy-agent.service": "[Service]\nExecStart=/bin/true\n",
    }
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    os.chmod(tree / "DEBIAN", 0o755)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, system.shared / "official.deb"], check=True, capture_output=True)
    system("dpkg", "-i", f"{system.shared}/official.deb")
    system.write(f"{CONF}/codedeployagent.yml", (
        "---\n# This host is special.\n:log_dir: '/var/log/aws/codedeploy-agent/'\n:pid_dir: '/opt/codedeploy-agent/state/.pid/'\n"
        ":program_name: codedeploy-agent\n:root_dir: '/opt/codedeploy-agent/deployment-root'\n:verbose: true\n:wait_between_runs: 1\n:max_revisions: 3\n"
        f":deploy_control_endpoint: {server.url}\n:s3_endpoint_override: {server.url}\n:ca_bundle: {system.shared}/ca.pem\n"
    ))
    shutil.copy(server.directory / "ca.pem", system.shared)
    server.aws("deploy", "register", "--instance-name", "old-host", "--tags", "Key=Name,Value=fleet", cwd=system.shared)
    # World-readable, as it may well be.
    system.write(f"{CONF}/codedeploy.onpremises.yml", (system.shared / "codedeploy.onpremises.yml").read_text())

    deployment = f"{STATE}/{group}/d-OFFICIAL1"
    (old / "only-in-the-old-one.txt").write_text("old")
    (old / "index.txt").write_text("old")
    appspec = f"version: 0.0\nos: linux\nfiles:\n  - source: content\n    destination: {old}\nhooks:\n  ApplicationStop:\n    - location: stop.sh\n"
    system.write(f"{deployment}/deployment-archive/appspec.yml", appspec)
    system.write(f"{deployment}/deployment-archive/content/index.txt", "old")
    system.write(f"{deployment}/deployment-archive/content/only-in-the-old-one.txt", "old")
    system.write(f"{deployment}/deployment-archive/stop.sh", f"#!/bin/sh\necho stopped by $DEPLOYMENT_ID >> {system.shared}/stopped\n", 0o755)
    system.write(f"{deployment}/bundle.tar", "not needed any more")
    system.write(f"{deployment}/logs/scripts.log", "2024-01-01 00:00:00 LifecycleEvent - BeforeInstall\n")
    instructions = f"{STATE}/deployment-instructions"
    names = ["index.txt", "only-in-the-old-one.txt"]
    copies = [{"type": "copy", "source": f"{deployment}/deployment-archive/content/{n}", "destination": f"{old}/{n}"} for n in names]
    system.write(f"{instructions}/{group}-install.json", json.dumps({"instructions": copies}))
    system.write(f"{instructions}/{group}-cleanup", "".join(f"{old}/{name}\n" for name in names))
    system.write(f"{instructions}/{group}_last_successful_install", deployment)
    system.write(f"{instructions}/{group}_most_recent_install", deployment)
    system("mkdir", "-p", f"{STATE}/ongoing-deployment", f"{STATE}/deployment-logs", "/opt/codedeploy-agent/state/.pid", "/var/log/aws/codedeploy-agent")


def test_a_host_of_the_other_agent_goes_on_being_deployed_to(system, packages, fleet):
    """AP-20, AP-23, AG-044: `dpkg -i` over the other package; the previous revision's ApplicationStop runs, its files go."""
    server = fleet.set_up(agents=0).server
    target = system.shared / "installed"
    target.mkdir()
    official(system, server, fleet.group_id, target)
    installed(system, packages["codedeploy-agent"])
    assert "# This host is special." in system.read(f"{CONF}/codedeployagent.yml"), "AG-122"
    assert system("stat", "-c", "%a", f"{CONF}/codedeploy.onpremises.yml").stdout.strip() == "600"
    assert not system.exists("/opt/codedeploy-agent/lib/agent.rb")
    running = system("/opt/codedeploy-agent/bin/codedeploy-agent", "status")
    assert running.stdout.startswith("The AWS CodeDeploy agent is running as PID "), "the upgrade has started it"

    gate = system.shared / "gate"
    appspec = f"version: 0.0\nos: linux\nfiles:\n  - source: index.txt\n    destination: {target}\nhooks:\n  ValidateService:\n    - location: wait.sh\n      timeout: 100\n"
    wait = f"#!/bin/sh\ntouch {system.shared}/waiting\nwhile [ ! -e {gate} ]; do sleep 0.1; done\n"
    fleet.push(bundle(fleet.directory / "new", appspec, {"index.txt": "new", "wait.sh": wait}))
    deployment = fleet.deploy()
    eventually(lambda: (system.shared / "waiting").exists() or fleet.info(deployment)["status"] == "Failed", "the script that waits")
    assert (system.shared / "stopped").read_text() == f"stopped by {deployment}\n", "AP-20"
    assert [path.name for path in target.iterdir()] == ["index.txt"] and (target / "index.txt").read_text() == "new"
    # Neither removal nor upgrade cuts off a deployment.
    for command in (["--remove", "codedeploy-agent"], ["-i", f"{system.shared}/{packages['codedeploy-agent'].name}"]):
        refused = system("dpkg", *command, check=False)
        assert refused.returncode != 0 and "A deployment is already in Progress" in refused.stdout + refused.stderr, command
    gate.touch()
    assert fleet.ended(deployment)["status"] == "Succeeded"
    assert system.read(f"{STATE}/deployment-instructions/{fleet.group_id}_last_successful_install") == f"{STATE}/{fleet.group_id}/{deployment}"

    # Ours over ours: it runs again afterwards.
    first = system("/opt/codedeploy-agent/bin/codedeploy-agent", "status").stdout
    eventually(lambda: system("dpkg", "-i", f"{system.shared}/{packages['codedeploy-agent'].name}", check=False).returncode == 0, "the upgrade")
    second = system("/opt/codedeploy-agent/bin/codedeploy-agent", "status").stdout
    assert second.startswith("The AWS CodeDeploy agent is running") and second != first
    assert fleet.ended(fleet.deploy(fileExistsBehavior="OVERWRITE"))["status"] == "Succeeded"
    system("dpkg", "--purge", "codedeploy-agent")
    assert not system.exists("/opt/codedeploy-agent") and not system.exists(f"{CONF}/codedeploy.onpremises.yml")
    assert (target / "index.txt").read_text() == "new", "what was deployed stays"


def test_the_control_plane_has_a_user_and_keeps_its_memory(system, packages):
    """The server's package: its user owns the data, which a purge leaves alone."""
    installed(system, packages["slipway"])
    assert system("getent", "passwd", "slipway").stdout.endswith(":/var/lib/slipway:/usr/sbin/nologin\n")
    assert system("stat", "-c", "%U %a", "/var/lib/slipway").stdout == "slipway 700\n"
    assert "Conffiles:\n /etc/slipway/slipway.toml" in system("dpkg", "-s", "slipway").stdout
    if shutil.which("systemd-analyze"):
        verified = system("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/slipway.service", check=False)
        assert "slipway.s" not in verified.stderr, verified.stderr
    # As the unit starts it, without root's rights.
    script = (
        "cd / && setpriv --reuid slipway --regid slipway --init-groups slipway server --config /etc/slipway/slipway.toml --listen 127.0.0.1:0 >/run/ready 2>/run/log & "
        "server=$!; for i in $(seq 600); do grep -q ready /run/ready && break; sleep 0.1; done; kill $server; wait $server; cat /run/ready /run/log"
    )
    system("chmod", "1777", "/run")
    output = system("sh", "-c", script).stdout
    assert re.search(r"^ready https://", output, re.M), output
    assert system("stat", "-c", "%U", "/var/lib/slipway/slipway.db").stdout == "slipway\n"
    system("dpkg", "--remove", "slipway")
    assert system.exists("/etc/slipway/slipway.toml")
    purged = system("dpkg", "--purge", "slipway")
    assert not system.exists("/etc/slipway") and system.exists("/var/lib/slipway/slipway.db")
    assert "/var/lib/slipway is kept" in purged.stderr


def test_the_same_files_give_the_same_package(packages, tmp_path):
    """A package can be checked against its sources."""
    done = subprocess.run(
        [REPOSITORY / "packaging" / "build", "--binaries", BINARIES, "--output", tmp_path, "--compression", "none"],
        capture_output=True, text=True, check=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
    )
    for line in done.stdout.split():
        name = Path(line).name
        assert Path(line).read_bytes() == packages[name.split("_")[0]].read_bytes(), name
