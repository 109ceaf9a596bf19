#!/bin/sh
# AfterInstall: writes the configuration. The agent tells in the environment which deployment this is.
. "$(dirname "$0")/common.sh"

python3 - "$config_file" "$HELLO_WEB_HOST" "$HELLO_WEB_PORT" <<'PYTHON'
import json, os, sys

path, host, port = sys.argv[1:]
config = {
    "host": host,
    "port": int(port),
    "application": os.environ.get("APPLICATION_NAME", "unknown"),
    "group": os.environ.get("DEPLOYMENT_GROUP_NAME", "unknown"),
    "deployment": os.environ.get("DEPLOYMENT_ID", "unknown"),
}
with open(path + ".new", "w", encoding="utf-8") as file:
    json.dump(config, file, indent=2)
    file.write("\n")
os.replace(path + ".new", path)
PYTHON
echo "wrote $config_file"
