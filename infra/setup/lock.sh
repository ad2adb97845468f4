#!/usr/bin/env bash
# Resolves every lock again, with hashes, no index named. Pins stay where pyproject.toml and locks/airflow.in allow them; UPGRADE=1 moves them.
. infra/setup/steps.sh

resolve() {
    local name=$1
    shift
    say lock "locks/$name.txt"
    .tools/bin/uv pip compile -q ${UPGRADE:+--upgrade} --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --custom-compile-command "make lock" "$@" -o "locks/$name.txt"
}

resolve runtime pyproject.toml --group build
resolve tests pyproject.toml --group build --group dev -c locks/runtime.txt
resolve bench pyproject.toml --group build --group dev --group bench -c locks/tests.txt
resolve airflow locks/airflow.in
resolve uv - <<<"uv==$UV_VERSION"
fetch_jars .tools/jars.new
(cd .tools/jars.new && sha256sum ./*.jar | sed 's| \./| |') >infra/jars/SHA256SUMS
