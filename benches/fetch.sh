#!/bin/sh
# Fetches the large real debug files of the bench from Debian's -dbg packages into the folder $1, only what is absent.
# A package that is not to be had leaves its file absent; the bench says so and goes on. Nothing is installed.
set -u
to=${1:?usage: fetch.sh FOLDER}
mkdir -p "$to"

# The largest file of package $1 whose path matches $2, as $to/$3.
fetch() {
    [ -s "$to/$3" ] && return 0
    work=$(mktemp -d "$to/fetch.XXXXXX") || return 1
    if (cd "$work" && apt-get download -q "$1" && dpkg-deb -x ./*.deb root) >"$to/$3.log" 2>&1; then
        largest=$(find "$work/root" -type f -path "$2" -printf '%s %p\n' | sort -rn | head -n 1 | cut -d' ' -f2-)
        [ -n "$largest" ] && mv "$largest" "$to/$3"
    fi
    rm -rf "$work"
    [ -s "$to/$3" ] && rm -f "$to/$3.log"
}

command -v apt-get >/dev/null || exit 0
fetch openjdk-17-dbg '*/usr/lib/debug/*' libjvm.debug
kernel=$(apt-cache search --names-only '^linux-image-6\.1\..*-cloud-amd64-dbg$' | cut -d' ' -f1 | sort -V | tail -n 1)
[ -n "$kernel" ] && fetch "$kernel" '*/vmlinux*' vmlinux
exit 0
