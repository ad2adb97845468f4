#!/usr/bin/env bash
# python.sh runtime|tests|bench|airflow: uv into .tools, and an environment that holds exactly what the lock says.
. infra/setup/steps.sh
lock=${1:?which lock: runtime, tests, bench or airflow}
UV=.tools/bin/uv

install_uv() {
    [ "$($UV --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ] || return 0
    say uv "$UV_VERSION into .tools"
    python3 -m venv --help >/dev/null 2>&1 && python3 -m ensurepip --version >/dev/null 2>&1 || debian python3 python3-venv
    rm -rf .tools/uv-bootstrap
    python3 -m venv .tools/uv-bootstrap
    .tools/uv-bootstrap/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r locks/uv.txt
    mkdir -p .tools/bin
    install -m 755 .tools/uv-bootstrap/bin/uv $UV
    rm -rf .tools/uv-bootstrap
}

make_environment() {
    [ ! -x "$1/bin/python" ] || return 0
    UV_PYTHON_DOWNLOADS=never $UV venv -q --python "$PYTHON_RANGE" "$1" || die "no Python $PYTHON_RANGE found"
}

# sync ENVIRONMENT LOCK: the packages of the lock and no others, each checked against its hash.
sync() {
    make_environment "$1"
    say python "$1 from locks/$2.txt"
    $UV pip sync -q --require-hashes --python "$1/bin/python" "locks/$2.txt"
}

install_project() {
    $UV pip install -q --no-deps --no-build-isolation --python .venv/bin/python --editable .
}

# A wider lock holds the narrower ones whole, so an environment made from it serves them too.
wider_or_same() {
    case $1 in
        runtime) echo runtime tests bench ;;
        tests) echo tests bench ;;
        *) echo "$1" ;;
    esac
}

# An environment is never narrowed: who ran the tests keeps pytest when the demo is set up after them.
widest_installed() {
    widest=$1
    for candidate in $(wider_or_same "$1"); do
        [ ! -f "$environment/lock.$candidate" ] || widest=$candidate
    done
    echo "$widest"
}

install_uv
if [ "$lock" = airflow ]; then
    environment=.venv-airflow
else
    environment=.venv
fi
lock=$(widest_installed "$lock")
for candidate in $(wider_or_same "$lock"); do
    if is_stamped "$environment/lock.$candidate" "$(fingerprint "locks/$candidate.txt" pyproject.toml)"; then
        exit 0
    fi
done
sync "$environment" "$lock"
[ "$lock" = airflow ] || install_project
rm -f "$environment"/lock.*
stamp "$environment/lock.$lock" "$(fingerprint "locks/$lock.txt" pyproject.toml)"
