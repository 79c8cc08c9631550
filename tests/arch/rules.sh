#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The architecture tests themselves: a tree that breaks a rule is caught, one that keeps them passes.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0
# check EXPECTED TEST FILE LINE: a tree holding FILE with LINE passes (0) or fails (1) TEST.
check() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree"/{lib,server,worker,clients,tests} "$tree/$(dirname "$3")"
  printf '%s\n' "$4" >"$tree/$3"
  "$here/$2" "$tree" >/dev/null 2>&1
  [ $? -eq "$1" ] || { echo "$2 should exit $1 for $3: $4"; failures=$((failures + 1)); }
}
check 0 includes.sh lib/data/a.c '#include "lib/base/status.h"'
check 1 includes.sh lib/base/a.c '#include "lib/data/traj.h"'
check 1 includes.sh lib/flow/a.c '#include "lib/store/store.h"'
check 1 includes.sh server/a.c '#include "worker/worker.h"'
check 1 includes.sh worker/a.c '#include "server/http/http.h"'
check 1 includes.sh lib/nn/a.c '#include "lib/idm/idm.h"'
check 1 includes.sh lib/idm/a.c '#include "lib/rl/rl.h"'
check 0 includes.sh lib/rl/a.c '#include "lib/nn/net.h"'
check 0 includes.sh worker/sim/a.c '#include "lib/sim/physics.h"'
check 1 includes.sh worker/sim/a.c '#include "lib/idm/idm.h"'
check 1 includes.sh worker/env/a.c '#include "worker/sim/sim.h"'
check 1 includes.sh server/api/api.c '#include <libpq-fe.h>'
check 0 includes.sh lib/store/a.c '#include <libpq-fe.h>'
check 1 includes.sh worker/a.c '#include <hiredis/hiredis.h>'
check 1 includes.sh server/api/api.c '#include <microhttpd.h>'
check 0 includes.sh server/http/http_validate.c '#include <microhttpd.h>'
check 1 includes.sh lib/nn/layer.c '#include <cblas.h>'
check 0 includes.sh lib/nn/mat.c '#include <cblas.h>'
check 1 includes.sh lib/idm/a.c '#include <mujoco/mujoco.h>'
check 1 includes.sh lib/base/a.c '#include <curl/curl.h>'
check 1 includes.sh lib/data/a.c '#include "traj.h"'
check 1 includes.sh lib/base/a.c 'nothing is included'
check 0 banned.sh lib/base/a.c 'int n = snprintf(a, b, c); /* strcpy(x) */ puts("strcpy(");'
check 1 banned.sh lib/base/a.c 'strcpy(a, b);'
check 1 banned.sh server/a.c 'char *p = strtok (a, b);'
check 1 banned.sh lib/base/a.c 'exit(1);'
check 0 banned.sh worker/main.c 'exit(1);'
check 0 banned.sh worker/job.c '_exit(1);'
check 0 format.sh lib/a.c $'/* SPDX-License-Identifier: Apache-2.0 */\nint a;'
check 1 format.sh lib/a.c 'int a;'
check 1 format.sh lib/a.c $'/* SPDX-License-Identifier: Apache-2.0 */\n'"int $(printf 'a%.0s' {1..100});"
check 0 migrations.sh migrations/0003_a.sql $'-- serves: 1\nalter table t add column a integer not null default 0; -- drop table t'
check 0 migrations.sh migrations/0003_a.sql $'-- serves: 3\ndrop table t;'
check 1 migrations.sh migrations/0003_a.sql 'create table t (n integer);'
check 1 migrations.sh migrations/0003_a.sql '-- serves: 4'
check 1 migrations.sh migrations/0003_a.sql $'-- serves: 1\ndrop\n table t;'
check 1 migrations.sh migrations/0003_a.sql $'-- serves: 1\nalter table t rename column a to b;'
check 1 migrations.sh migrations/0003_a.sql $'-- serves: 1\nalter table t add column a integer not null;'
check 1 migrations.sh migrations/0003_a.sql $'-- serves: 1\nalter table t alter column a type bigint;'
check 1 migrations.sh migrations/0003_a.sql $'-- serves: 3\ncreate function f() returns int language sql return 1;'
check 1 migrations.sh migrations/0003_a.sql $'-- serves: 3\ncreate or replace\n trigger t after insert on t for each row execute function f();'
check 0 migrations.sh migrations/0003_a.sql $'-- serves: 3\ndrop function f(); -- create function f'
check 0 migrations.sh schema/functions/a.sql 'create or replace function f() returns int language sql return 1;'
check 1 migrations.sh schema/functions/a.sql 'create function f() returns int language sql return 1;'
check 1 migrations.sh schema/functions/a.sql 'create trigger t after insert on t for each row execute function f();'
check 1 migrations.sh schema/functions/a.sql 'alter table t add column a integer;'
words() { printf 'word %.0s' $(seq "$1"); }
check 0 prose.py docs/a.md "$(words 39)end. And more."
check 1 prose.py docs/a.md "$(words 40)end."
check 1 prose.py docs/a.md "- An item of a list $(words 40)"
check 1 prose.py docs/a.md "| a | $(words 41) |"
check 0 prose.py docs/a.md "| $(words 30) | $(words 30) |"
check 0 prose.py docs/a.md "A command:"$'\n\n    '"$(words 50)"
check 0 prose.py docs/a.md $'# A heading, and `more`\n\nSee [above](#a-heading-and-more) and [this](a.md#a-heading-and-more).'
check 1 prose.py docs/a.md $'# A heading\n\nSee [above](#another-heading).'
check 1 prose.py docs/a.md 'See [it](b.md).'
check 0 prose.py docs/a.md 'See lib/ and docs/a.md, and https://example.org/lib/none.c.'
check 1 prose.py docs/a.md 'See lib/none.c.'
check 1 prose.py docs/a.md 'See docs/{a,b}.md.'
[ "$failures" -eq 0 ]
