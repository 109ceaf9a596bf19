#!/bin/sh
# ApplicationStop: stops the running application. An application that does not run is stopped already.
. "$(dirname "$0")/common.sh"

if ! pid=$(running_pid); then
    echo "hello-web is not running"
    rm -f "$pid_file"
    exit 0
fi

kill "$pid" 2>/dev/null || true
tries=0
while running_pid >/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -eq 100 ]; then
        echo "hello-web (process $pid) ignores SIGTERM; killing it"
        kill -9 "$pid" 2>/dev/null || true
    fi
    [ "$tries" -lt 150 ] || fail "hello-web (process $pid) cannot be stopped"
    sleep 0.1
done
rm -f "$pid_file"
echo "hello-web (process $pid) has stopped"
