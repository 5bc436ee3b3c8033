#!/usr/bin/env bash
# Installs what the tests need and this machine lacks, then runs each piece once to prove that it works.
# It never skips: what cannot be installed or does not run ends the script with a sentence.
#
#   tests/setup.sh          everything `make test` needs: PostgreSQL, Redis, look-up tools, debuggers, moto, the real
#                           sentry-cli clients, the SDKs of Python and Node, minidump-stackwalk
#   tests/setup.sh check    what `make check` needs on top of Rust: cargo-deny
#
# Works on Debian, as root or with sudo. A second run finds everything in place and takes a second.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly CLIENTS="${CARGO_TARGET_DIR:-target}/clients"
readonly TOOLS="${CARGO_TARGET_DIR:-target}/tools"
readonly MOTO="${CARGO_TARGET_DIR:-target}/moto"
readonly CARGO_DENY=0.20.2
readonly SDKS="${CARGO_TARGET_DIR:-target}/sdks"
readonly SDK_PYTHON=2.75.0
readonly SDK_NODE=11.12.0
readonly MOTO_VERSION=5.2.5
readonly STACKWALK=0.27.0

# Where each client comes from, and the SHA-256 of its executable: the tests run these very bytes or none.
readonly CLIENT_LIST="\
3.8.2  pypi c958865f9d4000183509ea21b1f04925d5390de6d8d87386b9e69f2b305070c3
2.58.6 npm  36b689311b399d9332950d84f4299aee682d2d290a770a77372b30a74f7e7add
2.14.2 pypi 755c657f8ac687d22b02a1328547f3954bc5d53e682c87ae791dc36e225818ea"

fail() {
    echo "tests/setup.sh: $*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        fail "installing packages needs root or sudo; run '$*' as root and start again."
    fi
}

# install PACKAGE...: asks Debian, and refreshes its lists only when the first try finds nothing.
install() {
    have apt-get || fail "this system has no apt-get; install the counterparts of '$*' by hand and start again."
    echo "installing $*"
    local quiet=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends)
    as_root "${quiet[@]}" "$@" >/dev/null 2>&1 && return
    as_root apt-get update -qq || fail "Debian's package lists could not be read; check the network."
    as_root "${quiet[@]}" "$@" >/dev/null || fail "Debian's packages '$*' could not be installed."
}

# --- the programs of Debian ------------------------------------------------------------------------------------

postgres_bin() {
    local bin
    for bin in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
        [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && echo "$bin" && return
    done
    have initdb && have postgres && dirname "$(command -v initdb)"
}

# Before version 16 it does not know sections that are compressed with zstd.
symbolizer() {
    local version
    for version in 22 21 20 19 18 17 16; do
        have "llvm-symbolizer-$version" && echo "llvm-symbolizer-$version" && return
    done
    have llvm-symbolizer && llvm-symbolizer --version | grep -qE 'LLVM version (1[6-9]|[2-9][0-9])' && echo llvm-symbolizer
}

setup_postgres() {
    local bin
    postgres_bin >/dev/null || install postgresql
    bin=$(postgres_bin) || fail "the package postgresql is there but initdb and postgres are not; the tests need both."
    "$bin/postgres" --version || fail "$bin/postgres does not run."
    if [ "$(id -u)" -eq 0 ]; then
        have runuser || install util-linux
        id postgres >/dev/null 2>&1 || fail "PostgreSQL refuses to run as root and there is no user postgres to run it."
    fi
}

setup_redis() {
    have redis-server || install redis-server
    have openssl || install openssl
    redis-server --version || fail "redis-server does not run; the tests share states of uploads through it."
}

setup_look_up_tools() {
    have addr2line && have objcopy || install binutils
    addr2line --version | head -n 1 || fail "addr2line does not run."
    if ! symbolizer >/dev/null; then
        apt-cache show llvm-19 >/dev/null 2>&1 || as_root apt-get update -qq || true
        if apt-cache show llvm-19 >/dev/null 2>&1; then install llvm-19; else install llvm; fi
    fi
    symbolizer >/dev/null || fail "Debian's packages have no llvm-symbolizer of version 16 or newer; the tests need one."
    "$(symbolizer)" --version | sed -n 's/^ *\(.*LLVM version.*\)$/llvm-symbolizer: \1/p' | grep . ||
        fail "llvm-symbolizer does not run; the tests compare symcaches with its answers."
}

setup_debuggers() {
    have debuginfod && have debuginfod-find && have gdb && have valgrind || install debuginfod gdb valgrind
    have openssl || install openssl
    debuginfod-find --version | sed -n 1p | grep . || fail "debuginfod-find does not run; the tests fetch debug files with it."
    gdb --version | sed -n 1p | grep . || fail "gdb does not run; the tests fetch debug files with it."
    gdb -nx -batch -ex 'set debuginfod enabled on' 2>&1 | grep . &&
        fail "this gdb was built without debuginfod; the tests need one that can ask for debug files."
    have cabextract || install cabextract
    cabextract --version | grep . || fail "cabextract does not run; the tests unpack cabinets with it."
    valgrind --version || fail "valgrind does not run; the tests have it fetch debug files."
}

# --- the second S3 server --------------------------------------------------------------------------------------

setup_moto() {
    if [ "$("$MOTO/bin/python" -c 'import moto; print(moto.__version__)' 2>/dev/null)" != "$MOTO_VERSION" ]; then
        echo "installing moto $MOTO_VERSION"
        python3 -m ensurepip --version >/dev/null 2>&1 || install python3 python3-venv
        rm -rf "$MOTO"
        python3 -m venv "$MOTO" || fail "a Python environment could not be made in $MOTO."
        # Its S3 and its server; everything else of it would be three times as much.
        "$MOTO/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
            "moto[s3]==$MOTO_VERSION" flask==3.1.3 flask-cors==6.0.5 || fail "moto $MOTO_VERSION could not be installed."
    fi
    "$MOTO/bin/moto_server" --help >/dev/null || fail "moto does not run; the tests use it as a second S3 server."
    echo "moto $MOTO_VERSION"
}

# --- the real clients ------------------------------------------------------------------------------------------

fetch_from_pypi() {
    local version=$1 folder=$2
    have python3 && python3 -m pip --version >/dev/null 2>&1 || install python3 python3-pip
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$folder" "sentry-cli==$version"
    python3 -m zipfile -e "$folder"/sentry_cli-"$version"-*.whl "$folder/unpacked"
    mv "$folder/unpacked/sentry_cli-$version.data/scripts/sentry-cli" "$folder/sentry-cli"
}

fetch_from_npm() {
    local version=$1 folder=$2
    have npm || install npm
    npm pack --silent --pack-destination "$folder" "@sentry/cli-linux-x64@$version" >/dev/null
    tar -xzf "$folder/sentry-cli-linux-x64-$version.tgz" -C "$folder" package/bin/sentry-cli
    mv "$folder/package/bin/sentry-cli" "$folder/sentry-cli"
}

is_genuine() {
    [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status
}

setup_client() {
    local version=$1 source=$2 checksum=$3 target="$CLIENTS/$1/sentry-cli" folder
    if ! is_genuine "$target" "$checksum"; then
        echo "installing sentry-cli $version"
        mkdir -p "$CLIENTS/$version"
        folder=$(mktemp -d "$CLIENTS/fetch.XXXXXX")
        "fetch_from_$source" "$version" "$folder" || fail "sentry-cli $version could not be fetched."
        is_genuine "$folder/sentry-cli" "$checksum" ||
            fail "the sentry-cli $version that was fetched is not the one the tests were written for (SHA-256 differs)."
        chmod 755 "$folder/sentry-cli"
        mv "$folder/sentry-cli" "$target"
        rm -rf "$folder"
    fi
    [ "$("$target" --version)" = "sentry-cli $version" ] || fail "sentry-cli $version does not run on this machine."
    echo "sentry-cli $version"
}

setup_clients() {
    [ "$(uname -sm)" = "Linux x86_64" ] || fail "the clients under test are built for Linux on x86-64; run the tests there."
    local version source checksum
    while read -r version source checksum; do
        setup_client "$version" "$source" "$checksum"
    done <<<"$CLIENT_LIST"
}

# --- the real SDKs --------------------------------------------------------------------------------------------

setup_sdks() {
    if [ "$("$SDKS/python/bin/python" -c 'import sentry_sdk, brotli; print(sentry_sdk.VERSION)' 2>/dev/null)" != "$SDK_PYTHON" ]; then
        echo "installing sentry-sdk $SDK_PYTHON"
        python3 -m ensurepip --version >/dev/null 2>&1 || install python3 python3-venv
        rm -rf "$SDKS/python"
        python3 -m venv "$SDKS/python" || fail "a Python environment could not be made in $SDKS/python."
        # With brotli there, the SDK sends brotli.
        "$SDKS/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
            "sentry-sdk==$SDK_PYTHON" brotli || fail "sentry-sdk $SDK_PYTHON could not be installed."
    fi
    echo "sentry-sdk $SDK_PYTHON"
    if [ "$(node -p "require('$(realpath -m "$SDKS/node")/node_modules/@sentry/node/package.json').version" 2>/dev/null)" != "$SDK_NODE" ]; then
        echo "installing @sentry/node $SDK_NODE"
        have npm || install npm
        mkdir -p "$SDKS/node"
        npm install --silent --no-save --no-audit --no-fund --prefix "$SDKS/node" "@sentry/node@$SDK_NODE" >/dev/null ||
            fail "@sentry/node $SDK_NODE could not be installed."
    fi
    echo "@sentry/node $SDK_NODE"
}

# --- programs from crates.io --------------------------------------------------------------------------------------

# from_crates NAME VERSION: builds a program once. A debug build runs for a second a day; the optimized one would take five
# times as long to make.
from_crates() {
    [ "$("$TOOLS/bin/$1" --version 2>/dev/null)" != "$1 $2" ] || return 0
    echo "building $1 $2 (a few minutes)"
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=0 \
        cargo install --quiet --locked --debug --root "$TOOLS" "$1@$2" || fail "$1 could not be built."
}

setup_stackwalk() {
    from_crates minidump-stackwalk "$STACKWALK"
    "$TOOLS/bin/minidump-stackwalk" --version || fail "minidump-stackwalk does not run; the tests walk a minidump with it."
}

setup_cargo_deny() {
    have cargo-deny || from_crates cargo-deny "$CARGO_DENY"
    PATH="$PATH:$TOOLS/bin" cargo-deny --version || fail "cargo-deny does not run."
}

case "${1:-test}" in
test)
    setup_postgres
    setup_redis
    setup_look_up_tools
    setup_debuggers
    setup_moto
    setup_clients
    setup_sdks
    setup_stackwalk
    ;;
check) setup_cargo_deny ;;
*) fail "unknown part '$1'; say nothing for the tests, or 'check'." ;;
esac
