#!/usr/bin/env bash
# The servers that the tests really start: PostgreSQL 15 with pgaudit, MinIO, Trino and Keycloak. OpenBao comes with locks/tests.txt.
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

# fetch_archive GROUP:ARTIFACT:VERSION SUM FOLDER: unpacks a tar.gz that Maven brings into FOLDER, once its sum is the one pinned.
fetch_archive() {
    local artifact=$1 sum=$2 folder=$3 archive
    command -v mvn >/dev/null || debian maven
    rm -rf "$folder" "$folder.repository"
    mvn -q -B -Dstyle.color=never -Dmaven.repo.local="$PWD/$folder.repository" -Dtransitive=false \
        "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN:get" -Dartifact="$artifact:tar.gz"
    archive=$(find "$folder.repository" -name '*.tar.gz')
    echo "$sum  $archive" | sha256sum --check --strict --quiet || die "$artifact is not the one pinned"
    mkdir -p "$folder"
    tar -xzf "$archive" -C "$folder" --strip-components=1 --no-same-owner
    rm -rf "$folder.repository"
}

# install_archive NAME VERSION SHAPED ARTIFACT SUM: into .tools/NAME. What the function SHAPED made of the archive is kept in the cache,
# under a name that changes with the function.
install_archive() {
    local name=$1 version=$2 shaped=$3 artifact=$4 sum=$5 made
    made="$version-$(declare -f "$shaped" | sha256sum | cut -c1-8)"
    local cached="$CACHE/$name-$made"
    ! is_stamped ".tools/$name.version" "$made" || [ ! -d ".tools/$name" ] || return 0
    if [ ! -d "$cached" ]; then
        say "$name" "$version by Maven, once"
        mkdir -p "$CACHE"
        fetch_archive "$artifact:$version" "$sum" ".tools/$name.new"
        "$shaped" ".tools/$name.new"
        rm -rf "$cached.new"
        mv ".tools/$name.new" "$cached.new"
        mv "$cached.new" "$cached"
    fi
    rm -rf ".tools/$name.new" ".tools/$name"
    cp -al "$cached" ".tools/$name.new" 2>/dev/null || { rm -rf ".tools/$name.new" && cp -a "$cached" ".tools/$name.new"; }
    mv ".tools/$name.new" ".tools/$name"
    stamp ".tools/$name.version" "$made"
}

# Five plugins of 55: the others take four hundred megabytes. Which of them a server loads is its own choice.
shape_trino() {
    local plugin
    for plugin in "$1"/plugin/*; do
        case ${plugin##*/} in
            delta-lake | hive | iceberg | jmx | password-authenticators) ;;
            *) rm -rf "$plugin" ;;
        esac
    done
}

# Built for its database now, Keycloak need not do that at every start.
shape_keycloak() {
    "$1/bin/kc.sh" build --db=dev-mem --health-enabled=true >"$1/build.log" 2>&1 || { tail -n 20 "$1/build.log" >&2 && die "Keycloak could not be built"; }
}

java_major_of() { "$1/bin/java" -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p'; }

# find_java: the home of a Java new enough for Trino; Spark keeps the one on the PATH.
find_java() {
    local home
    for home in "${TRINO_JAVA_HOME:-}" "${JAVA_HOME:-}" /usr/lib/jvm/*; do
        [ -x "$home/bin/java" ] && [ "$(java_major_of "$home")" -ge "$TRINO_JAVA_MINIMUM" ] && echo "$home" && return
    done
    return 1
}

install_trino_java() {
    [ ! -x .tools/java/bin/java ] || [ "$(java_major_of .tools/java)" -lt "$TRINO_JAVA_MINIMUM" ] || return 0
    local home
    if ! home=$(find_java); then
        command -v apt-cache >/dev/null && [ -n "$(apt-cache madison openjdk-25-jre-headless)" ] && debian openjdk-25-jre-headless
        home=$(find_java) || die "Trino needs Java $TRINO_JAVA_MINIMUM or newer beside Spark's: install temurin-25-jre from Adoptium's packages, or set TRINO_JAVA_HOME"
    fi
    mkdir -p .tools
    ln -sfn "$home" .tools/java
}

install_postgresql
install_minio
install_trino_java
install_archive trino "$TRINO_VERSION" shape_trino io.trino:trino-server "$TRINO_SUM"
install_archive keycloak "$KEYCLOAK_VERSION" shape_keycloak org.keycloak:keycloak-quarkus-dist "$KEYCLOAK_SUM"
