"""The commands of README's "With the AWS CLI" section, pasted into a shell as printed."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness import BINARIES, EVENTS, REPOSITORY


def printed_commands():
    section = (REPOSITORY / "README.md").read_text().split("\n## With the AWS CLI\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)


def free_port():
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@pytest.fixture
def clone(tmp_path):
    """A scratch copy with what the commands name."""
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    (tmp_path / "target" / "debug").mkdir(parents=True)
    for name in ("slipway", "slipway-agent"):
        (tmp_path / "target" / "debug" / name).symlink_to(BINARIES / name)
    yield tmp_path


def test_the_commands_work_as_printed(clone):
    blocks = printed_commands()
    assert len(blocks) >= 3
    script = "\n".join(blocks)
    installed = Path("/opt/hello-web")
    page = free_port()
    # What the machine has already is left alone: another port, and another place than the one in use or out of reach.
    script = script.replace("127.0.0.1:8080", f"127.0.0.1:{page}")
    settings = clone / "examples" / "hello-web" / "hello-web.env"
    settings.write_text(settings.read_text().replace("8080", page))
    if os.geteuid() != 0 or installed.exists():
        installed = clone / "opt" / "hello-web"
        for file in (settings, clone / "examples" / "hello-web" / "appspec.yml"):
            file.write_text(file.read_text().replace("/opt/hello-web", str(installed)))
    tidy = f"""
        tidy() {{
            set +e
            target/debug/slipway-agent --config-file agent.yml stop
            kill $(jobs -p) $(cat {installed}/run/hello-web.pid)
            wait
        }}
        trap tidy EXIT
    """
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(clone),
        "SLIPWAY_LISTEN": f"127.0.0.1:{free_port()}",
    }
    try:
        done = subprocess.run(["bash", "-euc", tidy + script], cwd=clone, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=240)
    finally:
        if installed == Path("/opt/hello-web"):
            shutil.rmtree(installed, ignore_errors=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for event in EVENTS:
        assert f"{event}\tSucceeded" in done.stdout
    assert "<html" in done.stdout.lower(), "the deployed application answers"
