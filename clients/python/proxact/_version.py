# SPDX-License-Identifier: Apache-2.0
"""The version of this package, which is Proxact's."""

VERSION = "0.1.0"
