#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what cardinal needs to build (and, with "test", to test): Debian packages by apt, DuckDB's
# library and header from npm, pinned, into .deps/duckdb. Does nothing when all is there.
#   tools/deps.sh build|test|interop
set -euo pipefail
cd "$(dirname "$0")/.."

DUCKDB_LIB_VERSION=1.5.6-r.1 # of @duckdb/node-bindings-linux-*: libduckdb.so
DUCKDB_HEADER_VERSION=1.4.4  # of duckdb: src/duckdb/src/include/duckdb.h
CHDB_VERSION=26.7.3-stable.1 # @chdb/lib-linux-*-gnu: libchdb.so, ClickHouse as an independent reader
HYPARQUET_VERSION=1.31.5
HYPARQUET_COMPRESSORS_VERSION=1.1.2

BUILD_PACKAGES=(gcc g++ libc6-dev meson ninja-build pkg-config ca-certificates
    libzstd-dev libsnappy-dev liblz4-dev zlib1g-dev libbrotli-dev libxxhash-dev
    libmicrohttpd-dev libcurl4-gnutls-dev libjansson-dev libyaml-dev libre2-dev)
TEST_PACKAGES=(clang clang-format clang-tidy libclang-rt-14-dev libcmocka-dev python3 curl ccache
    prometheus prometheus-node-exporter)

missing() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || echo "$package"
    done
}

install_packages() {
    local lacking
    mapfile -t lacking < <(missing "$@")
    [ ${#lacking[@]} -eq 0 ] && return
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "cardinal needs these Debian packages; install them and run this again:" >&2
            echo "  sudo apt-get install --no-install-recommends ${lacking[*]}" >&2
            exit 1
        fi
        apt=(sudo "${apt[@]}")
    fi
    echo "installing ${#lacking[@]} Debian packages: ${lacking[*]}"
    # Packages that bring a daemon must not start it: tests start their own.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [ "$(id -u)" -eq 0 ] && [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && made_policy=1
    fi
    "${apt[@]}" update >/dev/null
    "${apt[@]}" install -y --no-install-recommends "${lacking[@]}" >/dev/null
    [ -n "$made_policy" ] && rm -f $policy
    return 0
}

npm_command() {
    command -v npm >/dev/null || install_packages npm
}

# npm_unpack NAME@VERSION FOLDER: the package's files under FOLDER/package
npm_unpack() {
    local tarball
    mkdir -p "$2"
    tarball=$(cd "$2" && npm pack --silent "$1" 2>/dev/null | tail -n 1)
    [ -n "$tarball" ] || { echo "npm could not fetch $1" >&2; exit 1; }
    tar -xzf "$2/$tarball" -C "$2" "${@:3}"
    rm -f "$2/$tarball"
}

machine() {
    case "$(uname -m)" in
    x86_64) echo x64 ;;
    aarch64) echo arm64 ;;
    *) echo "cardinal runs on x86-64 and arm64, not on $(uname -m)" >&2; exit 1 ;;
    esac
}

install_duckdb() {
    local stamp="$DUCKDB_LIB_VERSION $DUCKDB_HEADER_VERSION"
    [ "$(cat .deps/duckdb/version 2>/dev/null)" = "$stamp" ] && return
    npm_command
    echo "fetching DuckDB ${DUCKDB_LIB_VERSION%-*}"
    local work
    work=$(mktemp -d)
    npm_unpack "@duckdb/node-bindings-linux-$(machine)@$DUCKDB_LIB_VERSION" "$work/lib" package/libduckdb.so
    npm_unpack "duckdb@$DUCKDB_HEADER_VERSION" "$work/header" package/src/duckdb/src/include/duckdb.h
    mkdir -p .deps/duckdb
    mv "$work/lib/package/libduckdb.so" "$work/header/package/src/duckdb/src/include/duckdb.h" .deps/duckdb/
    echo "$stamp" >.deps/duckdb/version
    rm -rf "$work"
}

install_interop() {
    local stamp="$CHDB_VERSION $HYPARQUET_VERSION"
    [ "$(cat .deps/interop/version 2>/dev/null)" = "$stamp" ] && return
    npm_command
    command -v node >/dev/null || install_packages nodejs
    echo "fetching independent readers: ClickHouse (chdb) $CHDB_VERSION, hyparquet $HYPARQUET_VERSION"
    local work
    work=$(mktemp -d)
    npm_unpack "@chdb/lib-linux-$(machine)-gnu@$CHDB_VERSION" "$work/chdb"
    rm -rf .deps/interop && mkdir -p .deps/interop
    mv "$work/chdb/package" .deps/interop/chdb
    echo '{"private":true}' >.deps/interop/package.json
    (cd .deps/interop && npm install --silent --no-audit --no-fund "hyparquet@$HYPARQUET_VERSION" \
        "hyparquet-compressors@$HYPARQUET_COMPRESSORS_VERSION" >/dev/null)
    echo "$stamp" >.deps/interop/version
    rm -rf "$work"
}

case "${1:-build}" in
build) install_packages "${BUILD_PACKAGES[@]}"; install_duckdb ;;
test) install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"; install_duckdb ;;
interop) install_interop ;;
*) echo "usage: tools/deps.sh build|test|interop" >&2; exit 2 ;;
esac
