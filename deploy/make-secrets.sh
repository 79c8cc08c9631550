#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes the secrets of deploy/docker-compose.yml once: random passwords of the database's administrator and roles and of
# Redis, the URLs with them, and an API token.
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
secret() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

# NAME VALUE per role, which deploy/role-passwords.sh gives to PostgreSQL.
for role in migrate server worker; do
  password=$(secret 24)
  printf 'proxact_%s %s\n' "$role" "$password" >>"$folder/db_roles"
  printf 'postgresql://proxact_%s:%s@postgres:5432/proxact\n' "$role" "$password" >"$folder/${role}_db_url"
done
password=$(secret 24)
printf 'requirepass %s\n' "$password" >"$folder/redis_conf"
printf 'redis://:%s@redis:6379\n' "$password" >"$folder/redis_url"
# The first API token: a server that others can reach does not start without one.
printf 'pxa_%s\n' "$(secret 32)" >"$folder/api_token"
# Last, because it is what tells that all are there.
printf '%s\n' "$(secret 24)" >"$folder/db_password"
echo "wrote the passwords, URLs and the API token of the containers into $folder"
