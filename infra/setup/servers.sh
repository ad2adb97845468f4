#!/usr/bin/env bash
# The servers that the tests really start: PostgreSQL 15 with pgaudit, and MinIO. OpenBao comes with locks/tests.txt.
. infra/setup/steps.sh
MINIO=.tools/bin/minio
CACHE=${XDG_CACHE_HOME:-${HOME:-.tools}/.cache}/wardlake

install_postgresql() {
    [ -x /usr/lib/postgresql/15/bin/postgres ] && [ -e /usr/share/postgresql/15/extension/pgaudit.control ] && return 0
    if [ ! -e /etc/postgresql-common ]; then
        say postgresql "without the cluster that Debian would start"
        as_root mkdir -p /etc/postgresql-common/createcluster.d
        echo "create_main_cluster = false" | as_root tee /etc/postgresql-common/createcluster.d/wardlake.conf >/dev/null
    fi
    debian postgresql-15 postgresql-15-pgaudit
}

# find_go: a go new enough for MinIO; where Debian's is not, its own module proxy brings one, checked against its sum.
find_go() {
    command -v go >/dev/null || debian golang-go
    local have
    have=$(go env GOVERSION | sed 's/^go//')
    if version_at_least "$have" "$GO_MINIMUM"; then
        command -v go
        return
    fi
    [ "$(uname -m)" = x86_64 ] || die "go $GO_MINIMUM or newer is needed on the PATH"
    local answer folder
    answer=$(GO111MODULE=on go mod download -json "golang.org/toolchain@$GO_TOOLCHAIN")
    grep -qF "\"Sum\": \"$GO_TOOLCHAIN_SUM\"" <<<"$answer" || die "the Go toolchain is not the one pinned"
    folder=$(sed -n 's/.*"Dir": "\(.*\)",*/\1/p' <<<"$answer")
    chmod -R u+w "$folder"
    chmod +x "$folder"/bin/* "$folder"/pkg/tool/*/*
    echo "$folder/bin/go"
}

install_minio() {
    ! is_stamped .tools/minio.version "$MINIO_VERSION" || [ ! -x $MINIO ] || return 0
    local cached="$CACHE/minio-$MINIO_VERSION" go
    if [ ! -x "$cached" ]; then
        say minio "building $MINIO_VERSION, some minutes, once"
        go=$(find_go)
        mkdir -p .tools/minio-build "$CACHE"
        GOBIN="$PWD/.tools/minio-build" GOFLAGS=-trimpath CGO_ENABLED=0 GOROOT='' \
            "$go" install "github.com/minio/minio@$MINIO_VERSION" 2>.tools/minio-build/log ||
            { tail -n 20 .tools/minio-build/log >&2 && die "MinIO could not be built"; }
        install -m 755 .tools/minio-build/minio "$cached.new"
        mv "$cached.new" "$cached"
        rm -rf .tools/minio-build
    fi
    mkdir -p .tools/bin
    install -m 755 "$cached" $MINIO.new
    mv $MINIO.new $MINIO
    stamp .tools/minio.version "$MINIO_VERSION"
}

install_postgresql
install_minio
