#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Completion in bash and zsh, and the manual page: made from the command line client's table, which `proxact help` prints.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
proxact=${PROXACT_BUILD:-$root/build}/proxact
work=$(mktemp -d) || exit 1
# shellcheck source=tests/support/checks.sh
. "$root/tests/support/checks.sh"
logs() { :; }
cd "$work" || exit 1
# Without a home nothing is known of a server, and none is asked.
unset PROXACT_URL PROXACT_TOKEN HOME XDG_CONFIG_HOME

"$proxact" completion bash >bash.sh
"$proxact" completion zsh >_proxact
"$proxact" man >proxact.1
ok "another shell is refused" refused "$proxact" completion fish
ok "bash reads it" bash -n bash.sh
ok "and shellcheck finds nothing" shellcheck -s bash -e SC2034 bash.sh

# completes WORD...: what bash offers for the last word, sorted, in a line
completes() {
  # shellcheck disable=SC2016 # the inner shell's variables
  bash -c '. ./bash.sh; COMP_WORDS=(proxact "$@"); COMP_CWORD=$#; _proxact; printf "%s\n" "${COMPREPLY[@]}"' - "$@" | sort | paste -sd ' '
}
ok "groups" same "$(completes d)" "datasets doctor"
ok "verbs" same "$(completes jobs c)" "cancel checkpoint"
ok "options" same "$(completes jobs list --st)" "--state"
ok "options of the verb that may be left out" same "$(completes jobs --st)" "--state"
ok "options behind arguments" same "$(completes upload hopper file.npz --w)" "--watch"
ok "options that are everywhere" same "$(completes doctor --j)" "--json"
ok "words of an option" same "$(completes jobs list --state q)" "queued"
ok "each option by its group" same "$(completes policy download m --format '')" "onnx safetensors"
ok "a value is no command" same "$(completes --url http://h jobs wat)" "watch"
ok "files are left to the shell" same "$(completes upload hopper "fi")" ""

if command -v zsh >out; then
  cat >try.zsh <<'ZSH'
_describe() { print -rl -- ${(P)@[-1]} }
_files() { }
compdef() { }
source ./_proxact
words=(proxact "$@") CURRENT=$(($# + 1))
_proxact
ZSH
  # zcompletes BEGINNING WORD...: what zsh offers that begins so, shortened
  zcompletes() { zsh -f try.zsh "${@:2}" | grep -- "^$1" | cut -c1-40 | paste -sd ' '; }
  ok "zsh reads it" zsh -n _proxact
  ok "zsh: verbs with their help" same "$(zcompletes watch jobs '')" "watch:Follow a job or a pipeline to its "
  ok "zsh: options" same "$(zcompletes --dedupe pipeline hopper '')" "--dedupe-key:While a pipeline with this "
  ok "zsh: words of an option" same "$(zcompletes q jobs list --state '')" "queued"
else
  echo "SKIP client_shell: zsh is missing; deploy/install-deps.sh test installs it"
fi

# Each command of the help, and each option, is in both and in the manual page.
"$proxact" help | sed -n 's/^  proxact \([a-z_ ]*[a-z]\).*/\1/p' | sed 's/ *$//' >commands
ok "there are commands" test "$(wc -l <commands)" -gt 40
whole() {
  local group verb option missing=0
  sed 's/\\-/-/g' proxact.1 >plain.1
  while read -r group verb; do
    verb=${verb%% *}
    grep -qF ".SS \"proxact $group${verb:+ $verb}" plain.1 || { echo "the manual page lacks $group $verb"; missing=1; }
    for option in $("$proxact" help "$group" ${verb:+"$verb"} | sed -n 's/^      \(--[a-z-]*\).*/\1/p'); do
      grep -qF -- "$option" plain.1 && grep -qF -- " $option" bash.sh && grep -qF -- "'$option:" _proxact ||
        { echo "$group $verb: $option is missing"; missing=1; }
    done
  done <commands
  return "$missing"
}
ok "nothing is missing" whole
rendered() { groff -man -Tutf8 -ww proxact.1 >page 2>warned && [ ! -s warned ] || { cat warned; return 1; }; }
ok "the manual page is rendered without a warning" rendered
ok "and says what proxact is" grep -q "proxy action labels" page
finish
