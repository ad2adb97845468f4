#!/usr/bin/env bash
# Makes the bundled sample again, byte for byte: all 18 CSV tables of one small Synthea run.
# Usage: infra/sample/make_sample.sh TARGET_FOLDER
# Needs Java 17 and Maven; downloads the generator on the first run.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
target="${1:?usage: make_sample.sh TARGET_FOLDER}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

tables=(allergies careplans claims claims_transactions conditions devices encounters imaging_studies immunizations
  medications observations organizations patients payer_transitions payers procedures providers supplies)

mvn -q -B -f "$here/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
  -DoutputDirectory="$work/jars" -DincludeScope=runtime

# One thread and every seed and date fixed: the generator's output is then the same on every machine.
(cd "$work" && TZ=UTC java -Xmx3g -Duser.timezone=UTC -Duser.language=en -Duser.country=US -cp "$work/jars/*" App \
  -s 7 -cs 7 -r 20250101 -e 20250101 -p 40 \
  --generate.thread_pool_size=1 \
  --exporter.baseDirectory="$work/out" \
  --exporter.fhir.export=false --exporter.hospital.fhir.export=false --exporter.practitioner.fhir.export=false \
  --exporter.csv.export=true --exporter.years_of_history=10 \
  Vermont)

mkdir -p "$target"
for table in "${tables[@]}"; do
  gzip -n -9 -c "$work/out/csv/$table.csv" > "$target/$table.csv.gz"
done
