#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian 12 packages Proxact needs, and only those that are missing.
# Usage: deploy/install-deps.sh [lib|compile|run|build|test|bench|image] ...     (default: build)
#   lib      the shared libraries of the server, the worker and the client (a container's run stage)
#   compile  compiler and -dev packages (a container's build stage)
#   run      lib + what the private stack and its scripts need
#   build    run + compile
#   test     build + what the test suite calls
#   bench    test + the peers the benchmarks compare with (PyTorch, nginx)
#   image    what deploy/prove-image.sh needs
# Runs as root, or asks sudo, and only when something has to be installed.
set -eu

lib="ca-certificates curl libmicrohttpd12 libpq5 libhiredis0.14 libjansson4 libcurl4 libhdf5-103-1 hdf5-plugin-lzf liblzf1 libzip4 libsnappy1v5 libzstd1
 zlib1g libssl3 libseccomp2 libprotobuf-c1 libopenblas0-pthread libdnnl2 libmujoco2.2.2"
compile="gcc make pkg-config libc6-dev libmicrohttpd-dev libpq-dev libhiredis-dev libjansson-dev
 libcurl4-openssl-dev libcunit1-dev libhdf5-dev libzip-dev libsnappy-dev libzstd-dev zlib1g-dev libssl-dev
 libseccomp-dev libdnnl-dev libmujoco-dev libonnx-dev libprotobuf-c-dev protobuf-c-compiler"
run="$lib postgresql-15 postgresql-client-15 redis-server jq zstd"
build="$run $compile"
test="$build python3-minimal python3-jsonschema python3-yaml python3-numpy python3-h5py python3-onnx python3-pip
 python3-setuptools python3-wheel mypy zsh groff-base xz-utils util-linux procps
 valgrind clang clang-format clang-tidy shellcheck cppcheck"
# For a client of resumable uploads. It is often there from elsewhere, and Debian's brings hundreds of packages.
command -v npm >/dev/null || test="$test npm"
test="$test iproute2" # hosts that are network namespaces
bench="$test python3-torch nginx-light"
image="debootstrap"

want=""
[ $# -gt 0 ] || set -- build
for tier in "$@"; do
  case $tier in
    lib)     want="$want $lib" ;;
    compile) want="$want $compile" ;;
    run)     want="$want $run" ;;
    build)   want="$want $build" ;;
    test)    want="$want $test" ;;
    bench)   want="$want $bench" ;;
    image)   want="$want $image" ;;
    *) echo "install-deps.sh: unknown tier '$tier' (lib, compile, run, build, test, bench, image)" >&2; exit 2 ;;
  esac
done

missing=""
for package in $want; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "install-deps.sh: these packages are missing and there is no sudo; as root run:" >&2
    echo "  apt-get install --no-install-recommends$missing" >&2
    exit 1
  }
  as_root=sudo
fi

echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A package's own service must not start: Proxact's private stack listens on unix sockets only.
policy=/usr/sbin/policy-rc.d
placed=""
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
  $as_root chmod 755 $policy
  placed=yes
fi
finish() { [ -z "$placed" ] || $as_root rm -f $policy; rm -f "$log"; }
trap finish EXIT
install() {
  # shellcheck disable=SC2086  # a list of package names
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o Dpkg::Use-Pty=0 $missing >"$log" 2>&1
}
$as_root apt-get update -qq >"$log" 2>&1 || { tail -5 "$log" >&2; echo "install-deps.sh: apt-get update failed" >&2; exit 1; }
install || { tail -20 "$log" >&2; echo "install-deps.sh: installation failed (log above)" >&2; exit 1; }
