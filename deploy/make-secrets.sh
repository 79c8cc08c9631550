#!/bin/sh
# Writes the secrets of deploy/docker-compose.yml once: a random database password, and the URL with it.
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
echo "wrote $folder/db_password and $folder/db_url"
