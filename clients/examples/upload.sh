#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A file into a dataset over a bad line, with curl alone: in parts (tus 1.0.0), going on after every cut where it was.
# Usage: PROXACT_URL=... PROXACT_TOKEN=... upload.sh DATASET FILE        prints the job that reads the file
set -euo pipefail
dataset=$1 file=$2
size=$(stat -c %s "$file")
b64() { printf '%s' "$1" | base64 -w0; }
tus() { curl -sS --fail --max-time 3600 -H "Authorization: Bearer $PROXACT_TOKEN" -H 'Tus-Resumable: 1.0.0' "$@"; }
header() { tr -d '\r' | sed -n "s/^$1: //Ip" | tail -n 1; }

path=$(tus -X POST -D - -o /dev/null --retry 8 --retry-all-errors -H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" \
  -H "Upload-Length: $size" -H "Upload-Metadata: dataset $(b64 "$dataset"),filename $(b64 "${file##*/}")" \
  "$PROXACT_URL/v1/uploads" | header Location)

for pause in 0 1 1 2 2 4 4 8 8 15 15 30 30 60 60; do
  sleep "$pause"
  offset=$(tus -I "$PROXACT_URL$path" | header Upload-Offset) || continue
  [ "$offset" = "$size" ] && break
  tail -c +$((offset + 1)) "$file" | tus -X PATCH -T - -o /dev/null -H 'Content-Type: application/offset+octet-stream' \
    -H "Upload-Offset: $offset" "$PROXACT_URL$path" && break
done
curl -sS --fail -H "Authorization: Bearer $PROXACT_TOKEN" --retry 8 --retry-all-errors "$PROXACT_URL$path" |
  jq -er '.job_id // error("the file has not arrived: \(.received_bytes) of \(.size_bytes) bytes")'
