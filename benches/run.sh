#!/bin/sh
# Builds the release server and the bench, fetches the large files once, and prints the table.
# Usage: benches/run.sh [memory] [chunks] [assemble] [poll] [fetch] [symbols] [breakpad] [scale-sqlite] [scale-postgres];
# without names all sections run but the last two, which fill a store with a million chunks first.
set -eu
cd "$(dirname "$0")/.."
command -v wrk >/dev/null || echo 'wrk is not installed: the sections poll, fetch and symbols cannot be measured' >&2
command -v debuginfod >/dev/null || echo 'debuginfod is not installed: the section symbols cannot be measured' >&2
sh benches/fetch.sh target/bench-files
exec cargo bench --quiet --bench main_job -- "$@"
