#!/bin/sh
# ValidateService: the deployment succeeds only if the new application answers, and with its own deployment id.
. "$(dirname "$0")/common.sh"

python3 - "$url/healthz" "$HELLO_WEB_WAIT" "${DEPLOYMENT_ID:-unknown}" <<'PYTHON' || {
import json, sys, time, urllib.request

url, wait, deployment = sys.argv[1], float(sys.argv[2]), sys.argv[3]
# A proxy in the environment is not for this host.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
deadline = time.monotonic() + wait
while True:
    try:
        with opener.open(url, timeout=5) as answer:
            health = json.load(answer)
        if health["deployment"] == deployment:
            print(f"{url}: {health['status']}, version {health['version']}")
            sys.exit(0)
        problem = f"deployment {health['deployment']} answers, not {deployment}"
    except (OSError, ValueError, KeyError) as error:
        problem = str(error)
    if time.monotonic() > deadline:
        sys.exit(f"{url} is not healthy after {wait:g} s: {problem}")
    time.sleep(0.1)
PYTHON
    [ ! -r "$log_file" ] || { echo "the last lines of $log_file:" >&2; tail -n 20 "$log_file" >&2; }
    exit 1
}
