#!/bin/sh
# ApplicationStart: starts the application, detached from the agent. The event ends when nothing holds the script's
# output open any more, hence the redirections.
. "$(dirname "$0")/common.sh"

if pid=$(running_pid); then
    fail "hello-web is running already (process $pid)"
fi
setsid python3 "$HELLO_WEB_DIR/app.py" "$config_file" </dev/null >>"$log_file" 2>&1 &
echo $! >"$pid_file"
echo "hello-web started (process $(cat "$pid_file"))"
