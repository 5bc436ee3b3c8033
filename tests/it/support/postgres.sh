# A throw-away PostgreSQL: makes a cluster in a fresh folder of $2 with the programs of $1 and the options $3, says where,
# does what each line of its input says, `stop` or `start`, and says so, and at the end of its input takes everything away.
# That end comes when whoever started it is gone, however that happens.
set -e
trap '' PIPE
bin=$1
options=${3:--c max_connections=400 -c synchronous_commit=off}
dir=$(mktemp -d "$2/symdepot-pg.XXXXXX")
cd "$dir"
trap '"$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1; cd /; rm -rf "$dir"' EXIT
start() {
    "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "-k '$dir' -c listen_addresses='' -c fsync=off \
        -c full_page_writes=off $options" start </dev/null >/dev/null || {
        cat "$dir/log" >&2
        exit 1
    }
}
"$bin/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C --no-sync --no-instructions </dev/null >/dev/null
start
echo "$dir"
while read -r order; do
    case "$order" in
    stop) "$bin/pg_ctl" -D "$dir/data" -w -m immediate stop </dev/null >/dev/null ;;
    start) start ;;
    esac
    echo "$order"
done
