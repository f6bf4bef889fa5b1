#!/bin/sh
# The platform under test: `server.sh start`, `server.sh stop`. Needs $ASSAY (the binary) and $WORK (a directory of this run); the
# settings come from the environment.
set -eu

answers() {
    "$ASSAY" flag list >/dev/null 2>&1
}

case $1 in
start)
    "$ASSAY" serve >>"$WORK/assay.log" 2>&1 &
    echo $! >"$WORK/assay.pid"
    tries=0
    until answers; do
        tries=$((tries + 1))
        if [ "$tries" -gt 200 ] || ! kill -0 "$(cat "$WORK/assay.pid")" 2>/dev/null; then
            echo "assay does not start:" >&2
            cat "$WORK/assay.log" >&2
            exit 1
        fi
        sleep 0.1
    done
    ;;
stop)
    pid=$(cat "$WORK/assay.pid")
    rm -f "$WORK/assay.pid"
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.1
    done
    ;;
*)
    echo "server.sh start|stop" >&2
    exit 64
    ;;
esac
