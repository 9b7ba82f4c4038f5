#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A tour of 20 seconds: a server on a folder of its own collects this machine's TCP connections and its own
# metrics; SQL and PromQL answer from memory, then from the Parquet files of a flush, and, with the server gone, from the
# folder alone. Called by ./run --demo.   tools/demo.sh CARDINAL_BINARY [SECONDS]
set -euo pipefail

cardinal=$(readlink -f "$1")
seconds=${2:-20}
dir=$(mktemp -d)
server=
cleanup() {
    [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

# Any free port: the server says which one it got.
"$cardinal" serve --listen 127.0.0.1:0 --data "$dir/data" --collect-tcp 500ms --self-metrics 1s 2>"$dir/log" &
server=$!
for _ in $(seq 100); do
    address=$(sed -n 's/.*msg="cardinal listens" address=\([^ ]*\).*/\1/p' "$dir/log")
    [ -n "$address" ] && break
    kill -0 "$server" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
    sleep 0.1
done
[ -n "$address" ] || { echo "the server did not start:" >&2; cat "$dir/log" >&2; exit 1; }
url=http://$address
echo "cardinal serves on $url, data in $dir/data"

ask() {
    echo
    echo "\$ cardinal sql \"$1\""
    "$cardinal" sql --url "$url" --format table "$1"
}

# Each second one request, so that even an idle machine has a connection to show.
echo "collecting TCP connections and own metrics for $seconds s"
for ((s = 0; s < seconds; s++)); do
    sleep 1
    "$cardinal" sql --url "$url" "SELECT 1" >/dev/null
    [ -t 1 ] && printf '\r%3d s' $((s + 1))
done
[ -t 1 ] && printf '\r       \r'

flows="SELECT state, dst_port, count(*) AS rows, count(DISTINCT src_port) AS connections, max(rtt_us) AS rtt_us FROM flows GROUP BY ALL ORDER BY rows DESC, dst_port LIMIT 5"
echo
echo "--- rows in memory"
ask "$flows"
echo
echo "\$ cardinal promql --plot --start -${seconds}s --step 1s 'cardinal_hot_rows'"
COLUMNS=100 "$cardinal" promql --url "$url" --plot --start "-${seconds}s" --step 1s 'cardinal_hot_rows'
ask "SELECT metric_name, count(*) AS samples, max(value) AS max FROM metrics WHERE metric_name LIKE 'cardinal_%rows%' GROUP BY 1 ORDER BY 1"

echo
echo "--- flush: the same rows from Parquet"
"$cardinal" flush --url "$url"
(cd "$dir/data" && find . -name '*.parquet' -size +0 -printf '%10s bytes  %P\n' | sort -k3)
ask "$flows"
ask "SELECT ip_prefix(dst_ip, 8) AS network, count(*) AS rows FROM flows WHERE dst_ip NOT LIKE '%:%' GROUP BY 1 ORDER BY 2 DESC LIMIT 3"

kill -TERM "$server"
wait "$server"
server=
echo
echo "--- the server is gone; the folder answers"
echo "\$ cardinal sql --data data \"SELECT count(*) AS rows FROM flows\""
"$cardinal" sql --data "$dir/data" --format table "SELECT count(*) AS rows FROM flows"
