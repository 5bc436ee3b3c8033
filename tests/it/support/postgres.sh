# A throw-away PostgreSQL: makes a cluster in a fresh folder of $2 with the programs of $1, says where, waits for the end of
# its input and takes everything away. That end comes when whoever started it is gone, however that happens.
set -e
trap '' PIPE
dir=$(mktemp -d "$2/symdepot-pg.XXXXXX")
cd "$dir"
trap '"$1/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1; cd /; rm -rf "$dir"' EXIT
"$1/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C --no-sync --no-instructions </dev/null >/dev/null
"$1/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "-k '$dir' -c listen_addresses='' -c max_connections=400 \
    -c fsync=off -c full_page_writes=off -c synchronous_commit=off" start </dev/null >/dev/null || {
    cat "$dir/log" >&2
    exit 1
}
echo "$dir"
cat >/dev/null
