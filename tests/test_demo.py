"""`slipway demo`, which is a newcomer's first minute, and the settings that docs/operations.md promises."""

import os
import re
import signal
import subprocess
import threading

from harness import BINARIES, EVENTS, REPOSITORY, eventually


def processes_in(directory):
    """Command lines of everything that runs in or names the directory."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/cmdline", "rb") as file:
                    text = file.read() + os.readlink(f"/proc/{entry.name}/cwd").encode()
            except OSError:
                continue
            if str(directory).encode() in text:
                found.append(text)
    return found


def environment(scratch):
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "TMPDIR": str(scratch)}


def test_the_demo_deploys_shows_and_leaves_nothing_behind(tmp_path):
    shown = subprocess.run([BINARIES / "slipway", "demo"], env=environment(tmp_path), capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    for event in EVENTS:
        assert re.search(rf"demo-host {event} Succeeded$", shown.stdout, re.M), (event, shown.stdout)
    deployment = re.search(r"deployment (d-[A-Z0-9]{9}) Succeeded", shown.stdout).group(1)
    page = re.search(r"answers at .*:\n\n((?:   \|.*\n)+)", shown.stdout).group(1)
    assert "Hello from Slipway" in page and deployment in page
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path):
    demo = subprocess.Popen([BINARIES / "slipway", "demo"], env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = next(line for line in demo.stdout if line.startswith("2. "))
    demo.send_signal(signal.SIGINT)
    threading.Thread(target=demo.stdout.read, daemon=True).start()
    assert demo.wait(timeout=60) != 0, line
    assert list(tmp_path.iterdir()) == []
    eventually(lambda: processes_in(tmp_path) == [], "every process of the demo has ended")


def test_the_table_of_settings_is_complete():
    """docs/operations.md names every key that `slipway server` takes, with its default, and no other."""
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| (`[a-z_.]+`(?:, `[a-z_.]+`)*) \|(.*?)\|", text[text.index("| `listen` |"):], re.M)
    documented = {name: default.strip("` ") for names, default in rows for name in re.findall(r"`([a-z_.]+)`", names)}
    shown = subprocess.run([BINARIES / "slipway", "server", "--help"], capture_output=True, text=True, check=True, env={"COLUMNS": "1000"}).stdout
    shown = re.sub(r"\s+", " ", shown)
    real = {
        key.replace("-", "_"): "" if default == "none" else default
        for key, default in re.findall(r"--([a-z.-]+) <VALUE> [^<]*?\[default: (.*?)\] \[env:", shown)
    }
    assert documented == real
