#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Acting with a downloaded policy: observations in, actions out, a line each. It needs numpy alone.

    curl -H "Authorization: Bearer $PROXACT_TOKEN" "$PROXACT_URL/v1/models/$MODEL/weights" > policy.safetensors
    clients/examples/act.py policy.safetensors < observations.txt > actions.txt

A line of input holds the numbers of one observation, and an empty line begins another episode. In your own program,
`from proxact import Policy` is enough once `pip install clients/python` has been run.
"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from proxact import Policy  # noqa: E402


def main() -> None:
    policy = Policy(sys.argv[1])
    for line in sys.stdin:
        if line.strip():
            print(*np.atleast_1d(policy.act(np.array(line.split(), "f4"))))
        else:
            policy.reset()


if __name__ == "__main__":
    main()
