#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Gives the roles of deploy/roles.sql their passwords. PostgreSQL's image runs it when the volume is new.
# Usage: deploy/role-passwords.sh [FILE]       FILE: lines of NAME PASSWORD (default: /run/secrets/db_roles)
# Connects as libpq's environment says; the image sets POSTGRES_USER and POSTGRES_DB. The passwords go through standard
# input, because a command line can be read by every user of the machine.
set -eu
sed -n "s/^\(proxact_[a-z]*\) \([0-9a-f]*\)$/alter role \1 password '\2';/p" "${1:-/run/secrets/db_roles}" |
  psql -XAtq -v ON_ERROR_STOP=1 ${POSTGRES_USER:+-U "$POSTGRES_USER"} ${POSTGRES_DB:+-d "$POSTGRES_DB"}
