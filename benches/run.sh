#!/bin/sh
# Builds the release server and the bench, fetches the large files once, and prints the table.
# Usage: benches/run.sh [memory] [chunks] [assemble] [poll] [fetch] [scale-sqlite] [scale-postgres]; without names all sections
# run but the last two, which fill a store with a million chunks first.
set -eu
cd "$(dirname "$0")/.."
command -v wrk >/dev/null || echo 'wrk is not installed: the sections poll and fetch cannot be measured' >&2
sh benches/fetch.sh target/bench-files
exec cargo bench --quiet --bench main_job -- "$@"
