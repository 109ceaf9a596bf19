"""codedeploy-local: the real binary under its name, as root in a scratch directory (DP-320..DP-366)."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness import BINARIES, bundle, eventually

GROUP = "default-local-deployment-group"
EVENTS = [
    "BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop", "BeforeInstall", "AfterInstall",
    "ApplicationStart", "ValidateService", "BeforeAllowTraffic", "AfterAllowTraffic",
]
SUCCESS = "AppSpec file valid. Local deployment successful"


class Host:
    """A machine with roots of its own."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.command = directory / "bin" / "codedeploy-local"
        self.command.parent.mkdir()
        self.command.symlink_to(BINARIES / "slipway-agent")
        self.root, self.log = directory / "root", directory / "log"
        self.target = directory / "srv"
        self.trace = directory / "trace"
        self.config = directory / "codedeployagent.yml"
        self.configure()

    def configure(self, **settings) -> None:
        settings = {"root_dir": self.root, "log_dir": self.log, "on_premises_config_file": self.directory / "onpremises.yml"} | settings
        self.config.write_text("".join(f":{key}: {value}\n" for key, value in settings.items()))

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.directory), "TRACE": str(self.trace), "AWS_EC2_METADATA_DISABLED": "true"} | more

    def run(self, *arguments, cwd: Path | None = None, environment: dict[str, str] | None = None, configured: bool = True) -> subprocess.CompletedProcess:
        words = [*map(str, arguments), *(["-c", str(self.config)] if configured else [])]
        return subprocess.run([self.command, *words], cwd=cwd or self.directory, env=self.environment(**(environment or {})), capture_output=True, text=True, timeout=120)

    def succeeds(self, *arguments, **options) -> Path:
        """The folder of the deployment."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        folder = Path(lines[0].removeprefix("Starting to execute deployment from within folder "))
        assert lines == [lines[0], f"See the deployment log at {folder}/logs/scripts.log for more details", SUCCESS], "DP-360"
        assert re.fullmatch(r"d-[A-Z0-9]{9}-local", folder.name), "DP-334"
        return folder

    def fails(self, *arguments, **options) -> subprocess.CompletedProcess:
        done = self.run(*arguments, **options)
        assert done.returncode == 1, done.stdout + done.stderr
        return done

    def error(self, *arguments, **options) -> str:
        """The one `ERROR:` line of a deployment that does not happen."""
        lines = [line for line in self.fails(*arguments, **options).stdout.splitlines() if line.startswith("ERROR: ")]
        assert len(lines) == 1, lines
        return lines[0].removeprefix("ERROR: ")

    def traced(self) -> list[str]:
        """What the scripts have noted since the last question."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        self.trace.unlink(missing_ok=True)
        return lines

    def revision(self, name: str, events=EVENTS, files: dict[str, str] | None = None, appspec_name: str = "appspec.yml", head: str = "") -> Path:
        """A bundle whose every event notes its name and the revision's."""
        hooks = "".join(f"  {event}:\n    - location: scripts/note.sh\n" for event in events)
        appspec = f"version: 0.0\nos: linux\nfiles:\n  - source: content\n    destination: {self.target}\n{head}hooks:\n{hooks}"
        content = {f"content/{path}": text for path, text in (files or {"page": name}).items()}
        note = f'#!/bin/sh\necho "$LIFECYCLE_EVENT {name}" >> "$TRACE"\necho "said by {name}"\n'
        directory = bundle(self.directory / name, appspec, {"scripts/note.sh": note, **content})
        if appspec_name != "appspec.yml":
            (directory / "appspec.yml").rename(directory / appspec_name)
        return directory


@pytest.fixture
def host(tmp_path) -> Host:
    return Host(tmp_path)


def packed(directory: Path, kind: str, inside: str = ".") -> Path:
    """An archive of a directory, below a directory of this name."""
    path = directory.with_suffix(f".{kind}")
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(directory.rglob("*")):
                archive.write(file, Path(inside) / file.relative_to(directory))
    else:
        with tarfile.open(path, "w:gz" if kind == "tgz" else "w") as archive:
            archive.add(directory, inside)
    return path


# Content (DP-322, DP-323, DP-331, DP-350)


def test_in_a_directory_with_an_appspec_file_it_just_works(host):
    app = host.revision("one")
    folder = host.succeeds(cwd=app)
    assert folder.parent == host.root / GROUP
    assert host.traced() == [f"{event} one" for event in EVENTS[3:]], "DP-346: nothing to stop the first time"
    assert (host.target / "page").read_text() == "one"
    assert "[stdout]said by one" in (folder / "logs/scripts.log").read_text()
    assert (folder / "deployment-archive/content/page").exists()
    assert "Succeeded" in (host.log / "codedeploy-local.log").read_text(), "DP-352"


def test_a_machine_without_any_configuration_needs_none(host):
    app = host.revision("one")
    script = 'for d in /opt /var/log /etc/codedeploy-agent; do [ ! -d "$d" ] || mount -t tmpfs t "$d"; done; cd "$1" && exec "$2"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", app, host.command], env=host.environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"Starting to execute deployment from within folder /opt/codedeploy-agent/deployment-root/{GROUP}/d-"), "DP-324"
    assert done.stdout.endswith(f"{SUCCESS}\n")
    assert (host.target / "page").read_text() == "one"


@pytest.mark.parametrize("arguments", [["-l", "one"], ["-l", "./one/", "-t", "directory"], ["--bundle-location", "{}/one", "--type", "directory"]], ids=["relative", "relative-type", "absolute"])
def test_a_directory_is_named_in_every_way(host, arguments):
    host.revision("one")
    host.succeeds(*(argument.format(host.directory) for argument in arguments))
    assert (host.target / "page").read_text() == "one"


@pytest.mark.parametrize("inside", [".", "wrapped"])
@pytest.mark.parametrize("kind", ["zip", "tgz", "tar"])
def test_an_archive_is_unpacked_and_a_leading_directory_taken_off(host, kind, inside):
    archive = packed(host.revision("one"), kind, inside)
    folder = host.succeeds("-l", archive, "-t", kind, "-g", "some-group")
    assert folder.parent == host.root / "some-group", "DP-334"
    assert (host.target / "page").read_text() == "one"
    assert (folder / "deployment-archive/appspec.yml").exists(), "DP-350"
    assert archive.exists()


def test_a_directory_that_holds_the_root_directory_does_not_deploy_itself(host):
    app = host.revision("one", head="file_exists_behavior: OVERWRITE\n")
    host.configure(root_dir=app / "content/root")
    for _ in range(3):
        folder = host.succeeds(cwd=app)
        assert not (folder / "deployment-archive/content/root").exists()
    assert sorted(path.name for path in host.target.iterdir()) == ["page"]


def test_a_bundle_of_s3_with_version_and_etag(host, shared_server):
    s3 = shared_server.client("s3")
    s3.create_bucket(Bucket="local")
    s3.put_bucket_versioning(Bucket="local", VersioningConfiguration={"Status": "Enabled"})
    say = '#!/bin/sh\nenv | grep ^BUNDLE_ | sort >> "$TRACE"\n'
    versions = []
    for name in ("one", "two"):
        app = host.revision(name, events=["ValidateService"])
        (app / "scripts/note.sh").write_text(say)
        body = packed(app, "tgz").read_bytes()
        versions.append((s3.put_object(Bucket="local", Key="a/app.tgz", Body=body)["VersionId"], hashlib.md5(body).hexdigest()))
    (version, etag), (newest, newest_etag) = versions
    environment = shared_server.environment | {"HOME": str(host.directory), "TRACE": str(host.trace)}

    host.succeeds("-l", "s3://local/a/app.tgz", "-t", "tgz", environment=environment)
    assert (host.target / "page").read_text() == "two"
    assert host.traced() == ["BUNDLE_BUCKET=local", "BUNDLE_KEY=a/app.tgz"], "DP-349"
    host.succeeds("-l", f"s3://local/a/app.tgz?versionId={version}&etag={etag}", "-t", "tgz", environment=environment)
    assert (host.target / "page").read_text() == "one"
    assert host.traced() == ["BUNDLE_BUCKET=local", f"BUNDLE_ETAG={etag}", "BUNDLE_KEY=a/app.tgz", f"BUNDLE_VERSION={version}"]

    wrong = host.error("-l", f"s3://local/a/app.tgz?versionId={newest}&etag={etag}", "-t", "tgz", environment=environment)
    assert wrong == f"Expected deployment artifact bundle etag {etag} but was actually {newest_etag}", "DP-351"
    gone = host.error("-l", "s3://local/gone.zip", environment=environment)
    assert "NoSuchKey" in gone and "s3://local/gone.zip" in gone
    keys = "We were unable to download content from the Amazon S3 bucket due to missing or invalid credentials."
    unknown = environment | {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wrong"}
    assert host.error("-l", "s3://local/a/app.tgz", environment=unknown).startswith(keys), "DP-365"
    none = {name: value for name, value in environment.items() if name not in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE")}
    assert host.error("-l", "s3://local/a/app.tgz", environment=none).startswith(keys), "DP-365"


@contextlib.contextmanager
def github(archives: dict[str, bytes]):
    """Archives by path, as GitHub's API has them; yields its address and what was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = archives.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_repository_of_github_in_its_four_forms(host):
    app = host.revision("one", events=["ValidateService"])
    (app / "scripts/note.sh").write_text('#!/bin/sh\necho "$BUNDLE_COMMIT" >> "$TRACE"\n')
    zipball, tarball = packed(app, "zip", "me-app-1a2b3c").read_bytes(), packed(app, "tgz", "me-app-1a2b3c").read_bytes()
    base = "/repos/me/app"
    archives = {f"{base}/zipball/HEAD": zipball, f"{base}/tarball/HEAD": tarball, f"{base}/zipball/main": zipball, f"{base}/tarball/1a2b3c": tarball}
    with github(archives) as (address, asked):
        host.configure(github_endpoint=address)
        for arguments, path, commit in [
            (["-l", "https://github.com/me/app"], "zipball/HEAD", "HEAD"),
            (["-l", "https://github.com/me/app/", "-t", "tar"], "tarball/HEAD", "HEAD"),
            (["-l", "https://api.github.com/repos/me/app/zipball/main", "-t", "zip"], "zipball/main", "main"),
            (["-l", "https://api.github.com/repos/me/app/tarball/1a2b3c"], "tarball/1a2b3c", "1a2b3c"),
        ]:
            host.succeeds(*arguments)
            assert asked.pop() == f"{base}/{path}" and not asked, "DP-331, DP-351"
            assert host.traced() == [commit], "DP-349"
            assert (host.target / "page").read_text() == "one"


# Events (DP-335, DP-345..DP-348)


def test_the_second_deployment_stops_what_the_first_has_started(host):
    host.succeeds("-l", host.revision("one", files={"page": "one", "only/in-one": ""}))
    host.traced()
    folder = host.succeeds("-l", host.revision("two"))
    assert host.traced() == [f"{event} one" for event in EVENTS[:3]] + [f"{event} two" for event in EVENTS[3:]], "DP-346"
    assert (host.target / "page").read_text() == "two"
    assert not (host.target / "only").exists(), "AC-AS-2"
    log = (folder / "logs/scripts.log").read_text()
    assert "[stdout]said by one" in log and "[stdout]said by two" in log


def test_groups_know_nothing_of_each_other(host):
    host.succeeds("-l", host.revision("one"), "-g", "1234abcd-5dd1-4774-89c6-30b107ac5dca")
    host.traced()
    told = host.error("-l", host.revision("two"), "-g", "other")
    assert told == f"The deployment failed because a specified file already exists at this location: {host.target}/page", "AS-044"
    assert host.traced() == ["BeforeInstall two"]


@pytest.mark.parametrize(("listed", "ran"), [
    ("ApplicationStop", "ApplicationStop"),
    ("ApplicationStart,AfterInstall", "ApplicationStart,AfterInstall"),
    ("BeforeInstall,Install,ValidateService", "BeforeInstall,ValidateService"),
    ("DownloadBundle,Install,ApplicationStart,HealthCheck", "ApplicationStart,HealthCheck"),
    ("ValidateService,HealthCheck,ValidateService", "ValidateService,HealthCheck,ValidateService"),
])
def test_a_list_of_events_runs_in_its_own_order_and_nothing_else(host, listed, ran):
    events = [*EVENTS, "HealthCheck"] if "HealthCheck" in listed else EVENTS
    host.succeeds("-l", host.revision("one", events), "--events", listed)
    assert [line.split()[0] for line in host.traced()] == ran.split(",")
    assert (host.target / "page").exists(), "DP-335: Install ran as well"


def test_stopping_before_the_download_stops_the_last_revision(host):
    host.succeeds("-l", host.revision("one"))
    host.traced()
    host.succeeds("-l", host.revision("two"), "-e", "ApplicationStop,DownloadBundle,Install")
    assert host.traced() == ["ApplicationStop one"]
    host.succeeds("-l", host.revision("three"), "-e", "ApplicationStop")
    assert host.traced() == ["ApplicationStop three"], "DP-346, DP-347: the bundle is there already"


def test_events_that_nobody_knows_are_errors(host):
    app = host.revision("one", [*EVENTS, "HealthCheck"])
    assert host.error("-l", app) == 'appspec.yml file contains unknown lifecycle events: ["HealthCheck"]', "DP-348"
    told = host.error("-l", app, "-e", "HealthCheck,Smoke,Soak")
    assert told == "You specified a lifecycle event which is not a default one and doesn't exist in your appspec.yml file: Smoke,Soak"
    assert not host.target.exists() and host.traced() == ["BeforeInstall one"], "AS-080: Install fails"
    early = host.error("-l", app, "-e", "ApplicationStart,DownloadBundle")
    assert early == "The only events that can be specified before DownloadBundle are BeforeBlockTraffic,AfterBlockTraffic,ApplicationStop. Please fix the order of your specified events: ApplicationStart,DownloadBundle", "DP-364"


# Files (DP-333, DP-337, DP-352)


@pytest.mark.parametrize(("option", "in_file", "result"), [
    (None, None, None), ("DISALLOW", None, None), ("OVERWRITE", None, "one"), ("RETAIN", None, "foreign"), ("overwrite", None, "one"), ("retain", None, "foreign"),
    ("OVERWRITE", "RETAIN", "foreign"), ("RETAIN", "OVERWRITE", "one"), ("OVERWRITE", "DISALLOW", None),
])
def test_what_happens_to_a_file_that_is_there_already(host, option, in_file, result):
    page = host.target / "page"
    host.target.mkdir()
    page.write_text("foreign")
    app = host.revision("one", head=f"file_exists_behavior: {in_file}\n" if in_file else "")
    arguments = ["-l", app, *(["--file-exists-behavior", option] if option else [])]
    if result is None:
        assert host.error(*arguments) == f"The deployment failed because a specified file already exists at this location: {page}"
        assert page.read_text() == "foreign"
    else:
        host.succeeds(*arguments)
        assert page.read_text() == result


@pytest.mark.parametrize(("name", "arguments"), [("appspec.yaml", []), ("own.yml", ["-A", "own.yml"]), ("appspec.yml", ["--appspec-filename", "appspec.yml"])])
def test_the_appspec_file_may_have_another_name(host, name, arguments):
    for revision in ("one", "two"):
        app = host.revision(revision, appspec_name=name)
        host.succeeds("-l", app, *arguments)
    assert host.traced()[-9:] == [f"{event} one" for event in EVENTS[:3]] + [f"{event} two" for event in EVENTS[3:]]
    host.succeeds("-l", packed(app, "tgz"), "-t", "tgz", *arguments)


def test_a_directory_without_an_appspec_file_is_refused_before_anything_happens(host):
    (host.directory / "empty").mkdir()
    empty = host.directory / "empty"
    told = host.error(cwd=empty)
    assert told == f"Expecting appspec file at location {empty}/appspec.yml or {empty}/appspec.yaml but it is not found there. Please either run the CLI from within a directory containing the appspec.yml or appspec.yaml file or specify a bundle location containing an appspec.yml or appspec.yaml file in its root directory", "DP-363"
    assert f"{empty}/own.yml but" in host.error("-A", "own.yml", cwd=empty)
    assert not host.root.exists()
    archive = packed(empty, "zip")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("readme", "")
    assert host.error("-l", archive, "-t", "zip").startswith("The CodeDeploy agent did not find an AppSpec file within the unpacked revision directory"), "AS-003"


def test_old_revisions_go_but_not_the_last_successful_one(host):
    host.configure(max_revisions=2)
    good = host.succeeds("-l", host.revision("good"))
    bad = host.revision("bad", head="")
    (bad / "scripts/note.sh").write_text("#!/bin/sh\nexit 1\n")
    for _ in range(4):
        # It fails before Install, so that the good one stays the last successful.
        host.fails("-l", bad, "-e", "DownloadBundle,BeforeInstall,Install")
    left = {path.name for path in (host.root / GROUP).iterdir()}
    assert good.name in left and len(left) <= 3, "DP-352"


def test_scripts_are_told_about_the_deployment(host):
    app = host.revision("one", events=["AfterInstall"])
    (app / "scripts/note.sh").write_text('#!/bin/sh\nenv | grep -E "^(LIFECYCLE|DEPLOYMENT|APPLICATION|BUNDLE)_" | sort >> "$TRACE"\n')
    folder = host.succeeds("-l", app, "-g", "gid", "-d", "prod", "-a", "shop")
    assert host.traced() == ["APPLICATION_NAME=shop", "DEPLOYMENT_GROUP_ID=gid", "DEPLOYMENT_GROUP_NAME=prod", f"DEPLOYMENT_ID={folder.name}", "LIFECYCLE_EVENT=AfterInstall"], "DP-349"
    host.succeeds("-l", app, "-b", "OVERWRITE")
    assert host.traced()[:3] == [f"APPLICATION_NAME={app}", f"DEPLOYMENT_GROUP_ID={GROUP}", "DEPLOYMENT_GROUP_NAME=LocalFleet"], "DP-334, DP-339"


# Failures (DP-361..DP-365)


def test_a_failed_script_is_told_with_file_line_exit_code_and_logs(host):
    app = host.revision("one", events=["AfterInstall", "ApplicationStart"])
    (app / "scripts/note.sh").write_text('#!/bin/sh\necho "$LIFECYCLE_EVENT" >> "$TRACE"\necho "no database" >&2\nexit 7\n')
    done = host.fails(cwd=app)
    lines = done.stdout.splitlines()
    folder = Path(lines[0].removeprefix("Starting to execute deployment from within folder "))
    assert lines[1:] == [
        f"See the deployment log at {folder}/logs/scripts.log for more details",
        f"Your local deployment failed while trying to execute your script at {folder}/deployment-archive/scripts/note.sh",
    ], "DP-361"
    for words in (
        "AfterInstall failed: Script at specified location: scripts/note.sh failed with exit code 7",
        f"named in: {folder}/deployment-archive/appspec.yml line 8",
        f"script log: {folder}/logs/scripts.log",
        "[stderr]no database",
        f"log of this command: {host.log}/codedeploy-local.log",
    ):
        assert words in done.stderr, done.stderr
    assert host.traced() == ["AfterInstall"], "what comes after does not run"


def test_a_script_of_the_last_revision_that_fails_is_named_where_it_is(host):
    app = host.revision("one", events=["ApplicationStop"])
    (app / "scripts/note.sh").write_text("#!/bin/sh\nexit 1\n")
    first = host.succeeds("-l", app)
    done = host.fails("-l", host.revision("two"))
    assert done.stdout.endswith(f"execute your script at {first}/deployment-archive/scripts/note.sh\n")
    assert not host.traced()


def test_a_last_revision_that_is_gone_fails_its_events(host):
    first = host.succeeds("-l", host.revision("one"))
    host.traced()
    shutil.rmtree(first / "deployment-archive")
    told = host.error("-l", host.revision("two"))
    assert told.startswith("The CodeDeploy agent did not find an AppSpec file") and f"{first}/deployment-archive" in told, "AS-088"
    assert not host.traced()


def test_every_error_of_an_appspec_file_is_told_at_once(host):
    app = host.revision("one", head="file_exists_behavior: overwrite\npermissions:\n  - object: /x\n    mode: u+x\n")
    done = host.fails(cwd=app)
    assert "ERROR: The deployment failed because an invalid file_exists_behavior value (overwrite) was entered" in done.stdout
    assert "appspec.yml:6:23: error: " in done.stderr and "help: write file_exists_behavior: OVERWRITE" in done.stderr
    assert "appspec.yml:9:11: error: " in done.stderr
    assert not host.target.exists() and not host.traced()


def test_doubts_about_a_bundle_are_told_before_its_scripts_run(host):
    app = host.revision("one", events=["AfterInstall"])
    (app / "scripts/note.sh").chmod(0o644)
    done = host.run(cwd=app)
    assert done.returncode == 0 and "appspec.yml:8:7: warning: the script scripts/note.sh is not executable" in done.stderr


@pytest.mark.parametrize(("arguments", "told"), [
    (["-t", "rar"], "type rar is not a valid type. Must be one of tgz,tar,zip,directory"),
    (["-l", "gone"], "location gone is specified as a file or directory which does not exist"),
    (["-l", "file"], "location file is specified with type directory but it is a file"),
    (["-l", "dir", "-t", "tgz"], "location dir is specified as a compressed local file but it is a directory"),
    (["-l", "http://github.com/a/b"], "location http://github.com/a/b cannot be http, only encrypted (https) url endpoints supported"),
    (["-l", "https://a b"], "location https://a b is not a valid uri"),
    (["-l", "https://example.org/x"], "unknown location https://example.org/x cannot be determined to be S3, Github, or a local file / directory"),
    (["-l", "s3://bucket", "-t", "zip"], "s3 location s3://bucket not in the expected format of 's3://bucket/key'"),
    (["-b", "KEEP"], "The deployment failed because an invalid option was specified for fileExistsBehavior: KEEP. Valid options include OVERWRITE, RETAIN, and DISALLOW."),
    (["-g", "../../etc"], "deployment group ../../etc cannot be the name of a directory"),
    (["-A", "../appspec.yml"], "../appspec.yml is not the name of a file in the bundle's root directory"),
], ids=lambda value: "-".join(value) if isinstance(value, list) else None)
def test_a_wrong_argument_is_an_error_and_nothing_happens(host, arguments, told):
    app = host.revision("one")
    (app / "file").write_text("")
    (app / "dir").mkdir()
    assert host.error(*arguments, cwd=app) == told, "DP-362"
    assert not host.root.exists() and not host.traced()


def test_a_configuration_file_that_is_not_there_is_an_error(host):
    app = host.revision("one")
    assert host.error("-c", "/gone.yml", cwd=app, configured=False) == "configuration file /gone.yml does not exist or is not readable", "DP-336"


@pytest.mark.parametrize("arguments", [["--frobnicate"], ["bundle.zip"], ["--type"], ["--events", "-l", "x"]])
def test_a_command_line_that_makes_no_sense_shows_the_usage(host, arguments):
    done = host.fails(*arguments, configured=False)
    assert "usage: codedeploy-local [OPTIONS]" in done.stderr and done.stdout == "", "DP-365"


def test_help_and_version(host):
    shown = host.run("--help", configured=False)
    assert shown.returncode == 0 and shown.stdout.startswith("usage: codedeploy-local"), "DP-338, A-14"
    version = host.run("-v", configured=False)
    assert version.returncode == 0 and re.fullmatch(r"\d+\.\d+\.\d+\S*\n", version.stdout)
    assert subprocess.run([BINARIES / "slipway-agent", "local", "--help"], capture_output=True, text=True).stdout == shown.stdout


@pytest.fixture
def nobody(host):
    """A bundle and the program in a place where the user nobody may read, and a way to run it as that user."""
    place = Path("/tmp") / f"slipway-local-{os.getpid()}"
    shutil.copytree(host.revision("one", events=["AfterInstall"]), place)
    shutil.copy(BINARIES / "slipway-agent", place / "codedeploy-local")
    for path in [place, *place.rglob("*")]:
        os.chown(path, 65534, 65534)

    def run(*arguments):
        environment = {"PATH": os.environ["PATH"], "TRACE": str(place / "trace")}
        return subprocess.run([place / "codedeploy-local", *arguments], cwd=place, env=environment, user=65534, group=65534, extra_groups=[], capture_output=True, text=True)

    yield place, run
    shutil.rmtree(place)


def test_who_may_not_write_to_the_usual_directories_is_told_what_to_do(nobody):
    _, run = nobody
    done = run()
    assert done.returncode == 1
    assert done.stdout.startswith("ERROR: Permission denied") and "sudo" in done.stdout and "-c FILE" in done.stdout, "S-09, DP-365"


def test_nobody_needs_to_be_root_with_directories_of_their_own(nobody):
    place, run = nobody
    appspec = place / "appspec.yml"
    appspec.write_text(re.sub(r"destination: .*", f"destination: {place}/srv", appspec.read_text()))
    (place / "own.yml").write_text(f":root_dir: {place}/root\n:log_dir: {place}/log\n")
    for _ in range(2):
        done = run("-c", "own.yml")
        assert done.returncode == 0, done.stdout + done.stderr
    assert (place / "srv/page").read_text() == "one"
    assert (place / "trace").read_text() == "AfterInstall one\n" * 2


def test_a_signal_ends_the_script_and_the_deployment(host):
    app = host.revision("one", events=["AfterInstall", "ApplicationStart"])
    (app / "scripts/note.sh").write_text('#!/bin/sh\necho "$LIFECYCLE_EVENT $$" >> "$TRACE"\nsleep 600\n')
    process = subprocess.Popen([host.command, "-c", host.config], cwd=app, env=host.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually(lambda: host.trace.exists() and host.trace.read_text().endswith("\n"), "the script begins")
    event, pid = host.traced()[0].split()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "execute your script" in out
    assert event == "AfterInstall" and "failed with exit code signal 15 (SIGTERM)" in err
    assert not Path(f"/proc/{pid}").exists() and not host.traced(), "nothing is left, and nothing else has begun"


def test_a_signal_ends_the_wait_for_a_download(host):
    app = host.revision("one")
    with github({}) as (address, asked):
        host.configure(github_endpoint=address)
        process = subprocess.Popen([host.command, "-c", host.config, "-l", "https://github.com/me/app"], cwd=app, env=host.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # The next attempt would come after ten seconds.
        eventually(lambda: asked and "trying again" in (host.log / "codedeploy-local.log").read_text(), "the first attempt fails")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=9)
    assert process.returncode == 1 and out.endswith("ERROR: Interrupted by a signal\n")
    assert f"attempts that fail are told in {host.log}/codedeploy-local.log" in err


# One verdict (AS-132)

HEAD = "version: 0.0\nos: linux\n"
GOOD = HEAD + "files:\n  - source: content\n    destination: {}\nhooks:\n  AfterInstall:\n    - location: go.sh\n"


@pytest.mark.parametrize(("appspec", "good"), [
    (GOOD, True),
    (GOOD.replace("\n", "\r\n"), True),
    (GOOD + "unknown: key\n", True),
    (HEAD, True),
    (HEAD.replace("0.0", "'0.0'"), True),
    (GOOD.replace("0.0", "1.0"), False),
    (GOOD.replace("linux", "windows"), False),
    (GOOD.replace("linux", "Linux"), False),
    (GOOD.replace("content", "missing"), False),
    (GOOD.replace("content", "../content"), False),
    (GOOD.replace("content", "escape"), False),
    (GOOD + "# escape\n", False),
    (GOOD.replace("go.sh", "missing.sh"), False),
    (GOOD.replace("go.sh", "../go.sh"), False),
    (GOOD.replace("go.sh", "content"), False),
    (GOOD.replace("files:\n", "files:\n  - source: other/page\n    destination: {}\n"), False),
    (GOOD + "      timeout: 0\n", False),
    (GOOD.replace("hooks", "permissions:\n  - object: {}\n    mode: 888\nhooks"), False),
    (GOOD.replace("  - source", "\t- source"), False),
    ("", False),
], ids=range(20))
def test_the_validator_and_the_host_give_one_verdict(host, appspec, good):
    app = bundle(host.directory / "app", appspec.replace("{}", str(host.target)), {"content/page": "x", "other/page": "y", "go.sh": "#!/bin/sh\n"})
    if "escape" in appspec:
        (app / "escape").symlink_to("/etc/hostname")
    flags = ["--os", "linux"]
    told = subprocess.run([BINARIES / "slipway", "deploy", "validate", *flags, app], capture_output=True, text=True, timeout=60)
    assert told.returncode == (0 if good else 1), told.stdout + told.stderr
    done = host.run("-l", app)
    assert done.returncode == told.returncode, told.stdout + done.stdout
