#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Python client against a real service, from its sources and as pip installs it; and every example of docs/python.md.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
service_start 2

cp -r "$root/clients/python" "$work/package"
expect "pip installs it without a network" /usr/bin/python3 -m pip --disable-pip-version-check install --quiet --no-index \
  --no-build-isolation --no-deps --no-compile --target "$work/site" "$work/package"
expect "with its types" test -e "$work/site/proxact/py.typed"
version=$(make -s -C "$root" version)
expect "its version is the service's" same "$(PYTHONPATH=$work/site /usr/bin/python3 -c 'import proxact; print(proxact.__version__)')" "$version"
PX_PYTHON_PACKAGE=$work/site "$root/tests/python/run.py" test_service test_docs
counted=$?
[ "$counted" -eq 0 ] || failures=$((failures + 1))
finish
