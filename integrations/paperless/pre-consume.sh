#!/usr/bin/env bash
# paperless-ngx pre-consume script: images are cleaned by a Limpid service before they are consumed.
#
# Set PAPERLESS_PRE_CONSUME_SCRIPT to this file's path and LIMPID_URL to the service. PDF files pass as they are: clean their
# pages in OCR by the OCRmyPDF plugin. If the service refuses or is not there, the document is consumed as it is, and the log
# says so: nothing is lost by a cleaning that failed.
set -euo pipefail
file=${DOCUMENT_WORKING_PATH:?set by paperless-ngx}
url=${LIMPID_URL:-http://127.0.0.1:8080}
case $(head -c 4 "$file") in
%PDF) exit 0 ;;
esac
part=$(mktemp)
trap 'rm -f "$part"' EXIT
if curl -sS --fail-with-body --retry 5 --max-time 300 ${LIMPID_KEY:+-H "Authorization: Bearer $LIMPID_KEY"} \
  --data-binary @"$file" -H 'Content-Type: application/octet-stream' -o "$part" "$url/denoise?model=${LIMPID_MODEL:-document}"; then
  cat "$part" >"$file"
  echo "limpid cleaned $file"
else
  echo "limpid did not clean $file: $(head -c 500 "$part")" >&2
fi
