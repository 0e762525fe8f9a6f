#!/usr/bin/env bash
# Denoise every picture of a folder by a running service; files that are done are passed over, so it can be run again.
#
#   bash examples/folder.sh scans/ clean/
set -euo pipefail
url=${LIMPID_URL:-http://127.0.0.1:8080}
from=$1 to=$2
mkdir -p "$to"
for file in "$from"/*; do
  target=$to/$(basename "$file")
  [ -f "$file" ] && [ ! -e "$target" ] || continue
  # --retry waits as long as Retry-After says where the queue is full.
  curl -sS --fail-with-body --retry 8 ${LIMPID_KEY:+-H "Authorization: Bearer $LIMPID_KEY"} \
    --data-binary @"$file" -H 'Content-Type: application/octet-stream' -o "$target.part" "$url/denoise" &&
    mv "$target.part" "$target" || { echo "$file: $(cat "$target.part")" >&2; rm -f "$target.part"; }
done
