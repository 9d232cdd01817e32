#!/bin/sh
# Makes jextract/generated again from the headers. JEXTRACT names the jextract to use.
set -eu
cd "$(dirname "$0")/.."
JEXTRACT=${JEXTRACT:-jextract}
if ! command -v "$JEXTRACT" > /dev/null; then
  echo "jextract not found: put it on the PATH or set JEXTRACT (jextract/README.md)" >&2
  exit 1
fi
rm -rf jextract/generated
"$JEXTRACT" --output jextract/generated --target-package io.spd4j.generated.spd4j --header-class-name spd4j_h \
  @jextract/spd4j.includes native/include/spd4j.h
