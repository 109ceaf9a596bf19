#!/bin/sh
# BeforeInstall: checks what the application needs, so that a host that cannot run it keeps its files.
. "$(dirname "$0")/common.sh"

command -v python3 >/dev/null || fail "python3 is not installed: apt-get install python3"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 7))' ||
    fail "$(python3 --version) is too old: hello-web needs Python 3.7"

mkdir -p "$run_dir" || fail "$HELLO_WEB_DIR cannot be created by user $(id -un)"
[ -w "$HELLO_WEB_DIR" ] && [ -w "$run_dir" ] || fail "$HELLO_WEB_DIR is not writable for user $(id -un)"

# Whoever holds the port now is not hello-web: ApplicationStop has run.
python3 - "$HELLO_WEB_HOST" "$HELLO_WEB_PORT" <<'PYTHON' || fail "port $HELLO_WEB_PORT on $HELLO_WEB_HOST is in use"
import socket, sys

with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((sys.argv[1], int(sys.argv[2])))
    except OSError as error:
        sys.exit(str(error))
PYTHON
echo "this host can run hello-web in $HELLO_WEB_DIR on $url"
