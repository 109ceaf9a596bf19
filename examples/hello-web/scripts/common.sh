# Shared by the lifecycle scripts, which source it. POSIX sh.

set -eu

# The agent runs scripts by their full path inside the unpacked bundle, with its own working directory.
bundle=$(cd "$(dirname "$0")/.." && pwd)
. "$bundle/hello-web.env"

run_dir=$HELLO_WEB_DIR/run
pid_file=$run_dir/hello-web.pid
config_file=$run_dir/config.json
log_file=$run_dir/hello-web.log
url=http://$HELLO_WEB_HOST:$HELLO_WEB_PORT

fail() {
    echo "$1" >&2
    exit 1
}

# Prints the process id of the running application; fails when it does not run. A stale pid file may name somebody
# else's process by now, so the command line is checked, too.
running_pid() {
    [ -r "$pid_file" ] || return 1
    pid=$(cat "$pid_file")
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$HELLO_WEB_DIR/app.py" || return 1
    echo "$pid"
}
