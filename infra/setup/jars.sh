#!/usr/bin/env bash
# Java and the jars of infra/jars/pom.xml, each checked against infra/jars/SHA256SUMS before it is used.
. infra/setup/steps.sh
JARS=.tools/jars

java_major() { java -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p'; }

command -v java >/dev/null || debian openjdk-17-jre-headless
[ "$(java_major)" -ge "$JAVA_MINIMUM" ] || die "java on the PATH is older than $JAVA_MINIMUM: apt-get install openjdk-17-jre-headless"

want=$(fingerprint infra/jars/pom.xml infra/jars/SHA256SUMS)
! is_stamped "$JARS/stamp" "$want" || exit 0

say jars "$(wc -l <infra/jars/SHA256SUMS) jars by Maven into $JARS"
fetch_jars "$JARS.new"
(cd "$JARS.new" && sha256sum --check --strict --quiet "$OLDPWD/infra/jars/SHA256SUMS") || die "a jar is not the one pinned"
[ "$(find "$JARS.new" -name '*.jar' | wc -l)" = "$(wc -l <infra/jars/SHA256SUMS)" ] || die "a jar is not in infra/jars/SHA256SUMS"
rm -rf "$JARS"
mv "$JARS.new" "$JARS"
stamp "$JARS/stamp" "$want"
