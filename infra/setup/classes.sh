#!/usr/bin/env bash
# An archive of the classes that Spark and Delta load at every start (Java's class data sharing): a third less CPU for each JVM.
# A JVM that cannot use it, since another Java or other jars are there, starts as without.
. infra/setup/steps.sh
ARCHIVE=.tools/classes.jsa

# Java takes it only with the class path that it was made with, which names this folder and how sessions are started.
want=$( (java -version 2>&1; pwd; cat .tools/jars/stamp lib/wardlake/adapters/spark_session.py; ls -l .venv/lib/python3*/site-packages/pyspark/jars) | sha256sum | cut -d' ' -f1)
! is_stamped "$ARCHIVE.stamp" "$want" || exit 0

say classes "an archive of Spark's classes, half a minute, once"
rm -f "$ARCHIVE" "$ARCHIVE.stamp"
.venv/bin/python infra/setup/load_classes.py "$ARCHIVE" >.tools/classes.log 2>&1 || die "Spark did not start: see .tools/classes.log"
[ -s "$ARCHIVE" ] || die "Java wrote no archive: see .tools/classes.log"
stamp "$ARCHIVE.stamp" "$want"
