#!/bin/sh
# Writes the secrets of deploy/docker-compose.yml once: a random database password, the URL with it, and an API token.
# Usage: deploy/make-secrets.sh [FOLDER]       (default: deploy/secrets)
set -eu
folder=${1:-$(dirname "$0")/secrets}
if [ -e "$folder/db_password" ]; then
  echo "make-secrets.sh: $folder has them already; a new password would not fit the database" >&2
  exit 1
fi
# Nobody else enters the folder; the files are readable because in a container they are read by another user.
mkdir -p "$folder"
chmod 700 "$folder"
umask 022
password=$(od -An -N 24 -tx1 /dev/urandom | tr -d ' \n')
printf 'postgresql://proxact:%s@postgres:5432/proxact\n' "$password" >"$folder/db_url"
printf '%s\n' "$password" >"$folder/db_password"
# The first API token: a server that others can reach does not start without one.
printf 'pxa_%s\n' "$(od -An -N 32 -tx1 /dev/urandom | tr -d ' \n')" >"$folder/api_token"
echo "wrote $folder/db_password, $folder/db_url and $folder/api_token"
