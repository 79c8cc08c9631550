#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Carries out deploy/Dockerfile without a Docker engine: every stage in a Debian root made by debootstrap, with the
# Dockerfile's own instructions, then checks what the last stage holds. Needs root, about 3 GB below /var/tmp and
# some minutes.                                                                             (make check-image)
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ "$(id -u)" -eq 0 ] || die "debootstrap and chroot need root"
"$PX_ROOT/deploy/install-deps.sh" image || exit 1
# debootstrap makes devices and sets owners: not on a tmpfs, and not below a folder others cannot enter.
work=$(mktemp -d /var/tmp/proxact-image-XXXXXX) && chmod 755 "$work" || exit 1
trap 'rm -rf "$work"' EXIT
log=$work/log

declare -A root_of            # stage name -> its root folder
declare -a environment=() command=()
root="" workdir=/ user="" step=0

from() {
  local name=$3 # FROM image AS name
  [[ $1 == debian:12* ]] || die "stage from $1: only Debian 12 can be made by debootstrap"
  if [ ! -d "$work/base" ]; then
    debootstrap --variant=minbase bookworm "$work/base" >"$log" 2>&1 ||
      die_log "$log" "is a Debian mirror reachable?" "debootstrap failed"
    for file in resolv.conf hosts; do [ -e /etc/$file ] && cp -L /etc/$file "$work/base/etc/$file"; done
  fi
  root=$work/stage-${name:-last} workdir=/ user="" environment=() command=()
  cp -a "$work/base" "$root"
  root_of[${name:-last}]=$root
}

# In the stage's root, with the environment and the folder that the Dockerfile set so far.
# shellcheck disable=SC2016  # expanded in there
inside() {
  chroot ${user:+--userspec="$user"} "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "${environment[@]}" /bin/sh -c 'cd "$0" && exec "$@"' "$workdir" "$@" </dev/null
}

copy() {
  local source_root=$PX_ROOT exclude=() line
  if [[ $1 == --from=* ]]; then
    source_root=${root_of[${1#--from=}]}
    shift
  else
    while read -r line; do
      [[ $line == '#'* || -z $line ]] || exclude+=(--exclude="./$line")
    done <"$PX_ROOT/.dockerignore"
  fi
  local target=${!#} sources=("${@:1:$#-1}") item
  [[ $target == /* ]] || target=$workdir/$target
  mkdir -p "$root/$target"
  for item in "${sources[@]}"; do
    if [ -d "$source_root/$item" ]; then # a folder's content
      tar -C "$source_root/$item" --anchored "${exclude[@]}" -cf - . | tar -C "$root/$target" --no-same-owner -xf - || return 1
    else
      cp "$source_root/$item" "$root/$target/" || return 1
    fi
  done
}

instruction() {
  local word=$1 rest=$2 args
  read -ra args <<<"$rest"
  step=$((step + 1))
  say "$(printf '%2d' $step) $word $rest"
  case $word in
    FROM) from "${args[0]}" "${args[1]:-}" "${args[2]:-}" ;;
    WORKDIR) workdir=$rest && mkdir -p "$root/$workdir" ;;
    COPY) copy "${args[@]}" || die "step $step failed" ;;
    ENV) environment+=("${args[@]}") ;;
    USER) user=$rest ;;
    RUN) inside /bin/sh -c "$rest" >"$log" 2>&1 || die_log "$log" "the step is in deploy/Dockerfile" "step $step failed" ;;
    EXPOSE) ;;
    CMD) mapfile -t command < <(jq -r '.[]' <<<"$rest") ;;
    *) die "deploy/Dockerfile uses $word, which this script does not know" ;;
  esac
}

# Comments off, continued lines joined.
while read -r word rest; do
  instruction "$word" "$rest"
done < <(sed -e '/^[[:space:]]*#/d' -e '/^[[:space:]]*$/d' "$PX_ROOT/deploy/Dockerfile" | sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}')

failures=0
expect() {
  local what=$1
  shift
  if "$@" >"$log" 2>&1; then say "ok   $what"; else say "FAIL $what"; cat "$log"; failures=$((failures + 1)); fi
}
refused() { ! "$@"; }
version=$(make -s -C "$PX_ROOT" version)
for program in proxact-server proxact-worker proxact; do
  expect "$program runs and says $version" inside /bin/sh -c "$program --version | grep -F '$version'"
done
expect "the command is a program of the image" inside /bin/sh -c "command -v ${command[0]:-missing}"
# shellcheck disable=SC2016  # expanded in there
expect "it does not run as root" inside /bin/sh -c '[ "$(id -u)" -ne 0 ]'
expect "it may write to its folder" inside /bin/sh -c 'touch here && rm here'
expect "it may write nowhere else" inside /bin/sh -c '! touch /usr/local/bin/x /etc/x /x'
expect "there is no compiler in it" refused inside /bin/sh -c 'command -v gcc'
expect "there is no database server in it" refused test -e "$root/usr/lib/postgresql"
expect "there is no source in it" refused test -e "$root/src"
say "the image's files: $(du -sm "$root" | cut -f1) MB, of which $(($(du -sm "$root" | cut -f1) - $(du -sm "$work/base" | cut -f1))) MB are Proxact and its libraries"
[ "$failures" -eq 0 ]
