#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Python client without a service: conversions, policies, and how it asks again.
exec "$(dirname "$0")/run.py" test_convert test_policy test_transport
