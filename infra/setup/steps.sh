# The words the set-up scripts are written in. Sourced; it expects to be run from the root of the checkout.
set -euo pipefail
. infra/setup/versions.sh

# On stderr: some functions answer on stdout.
say() { printf '  %-12s %s\n' "$1" "$2" >&2; }

die() {
    printf 'set-up stopped: %s\n' "$1" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root: $*"
    fi
}

# debian PACKAGE...: installs those that are missing.
debian() {
    local missing=() package
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "no apt-get here; install by hand: ${missing[*]}"
    say apt "installing ${missing[*]}"
    as_root apt-get update -qq
    mkdir -p .tools
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >.tools/apt.log 2>&1 ||
        { tail -n 20 .tools/apt.log >&2 && die "apt could not install ${missing[*]}"; }
}

# fingerprint FILE...: one hash of their contents.
fingerprint() { cat "$@" | sha256sum | cut -d' ' -f1; }

# A step is done when its stamp holds the fingerprint of what it was made from.
is_stamped() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }
stamp() { mkdir -p "$(dirname "$1")" && printf '%s\n' "$2" >"$1"; }

# version_at_least HAVE WANT
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# fetch_jars FOLDER: the jars that infra/jars/pom.xml names, in a folder made anew, not checked.
fetch_jars() {
    command -v mvn >/dev/null || debian maven
    rm -rf "$1"
    mvn -q -B -Dstyle.color=never -f infra/jars/pom.xml \
        "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN:copy-dependencies" \
        -DexcludeTransitive=true -DoutputDirectory="$PWD/$1"
}
