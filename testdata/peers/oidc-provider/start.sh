#!/usr/bin/env bash
# npm oidc-provider on http://127.0.0.1:PORT, until stdin ends. Needs Node.js 20 or
# newer with npm. REDIRECTS: redirect URIs, joined by commas. See op.mjs.
#
#   usage: start.sh PORT STATE_DIR
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
port=$1
mkdir -p "$2"
state=$(cd "$2" && pwd)
for need in node npm; do
	command -v "$need" >/dev/null || { echo "missing: $need; install Node.js 20 or newer with npm (make deps)" >&2; exit 3; }
done
cp "$here/package.json" "$here/package-lock.json" "$here/op.mjs" "$state/"
cd "$state"
npm ci --ignore-scripts --no-audit --no-fund --prefer-offline >&2
PORT=$port node op.mjs &
node=$!
cat <&0 >/dev/null &
open=$!
trap 'kill "$node" "$open" 2>/dev/null || true; wait' EXIT
trap 'exit 0' TERM INT
wait -n
