#!/usr/bin/env bash
# Installs the servers that the tests of this folder hold bulkpatch against: packages of Debian (as root), and
# pinned ones of npm and PyPI into .judges/ at the top. What is there already is left alone. What cannot be had is
# named on stderr, and its tests skip, so a machine without a network still passes: the exit code is 0.
set -uo pipefail
cd "$(dirname "$0")/../.."

HERE=tests/judges
THERE=.judges
WIREMOCK=wiremock@3.13.2
PRISM=@stoplight/prism-cli@5.16.0
SECONDS_MAX=110 # for all of it; it takes 15 where the network works

missing() { echo "judges: $1 is missing, and its tests will skip: $2" >&2; }

patiently() { timeout --kill-after=5 $((SECONDS < SECONDS_MAX ? SECONDS_MAX - SECONDS : 1)) "$@"; }

# $1: a step's name, then its command, quiet unless it fails.
step() {
    local name="$1" said
    shift
    said="$("$@" 2>&1)" || { missing "$name" "$(tail -n 1 <<<"$said")"; return 1; }
}

packages() {
    local wanted=()
    command -v haproxy >/dev/null || wanted+=(haproxy)
    command -v nginx >/dev/null || wanted+=(nginx-light)
    command -v java >/dev/null || wanted+=(openjdk-17-jre-headless)
    command -v npm >/dev/null || wanted+=(npm)
    [ "${#wanted[@]}" -eq 0 ] && return 0
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || { missing "${wanted[*]}" "apt-get as root installs it"; return 0; }
    export DEBIAN_FRONTEND=noninteractive
    step "${wanted[*]}" patiently apt-get update -qq || return 0
    for package in "${wanted[@]}"; do
        step "$package" patiently apt-get install -y -qq --no-install-recommends "$package"
    done
}

from_npm() {
    [ "$(cat $THERE/npm/.ready 2>/dev/null)" = "$WIREMOCK $PRISM" ] && return 0
    command -v npm >/dev/null || { missing "WireMock, Prism" "npm installs them"; return 0; }
    mkdir -p $THERE/npm
    step "WireMock, Prism" patiently npm install --prefix $THERE/npm --no-fund --no-audit --no-save "$WIREMOCK" "$PRISM" &&
        echo "$WIREMOCK $PRISM" >$THERE/npm/.ready
}

from_pypi() {
    cmp -s $HERE/mitmproxy.txt $THERE/mitmproxy/.ready && return 0
    step mitmproxy python3 -m venv --clear --without-pip $THERE/mitmproxy &&
        step mitmproxy patiently python3 -m pip --python $THERE/mitmproxy/bin/python install --quiet \
            --disable-pip-version-check --require-hashes -r $HERE/mitmproxy.txt &&
        cp $HERE/mitmproxy.txt $THERE/mitmproxy/.ready
}

mkdir -p $THERE
from_pypi & # beside the others, which wait for one another: java and npm come first
packages
from_npm
wait
exit 0
