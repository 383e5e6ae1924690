#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A program that reads nothing and says nothing, whatever its arguments, as long as its caller lives.

The caller reads from it by a pipe, or else writes to it by one. The end of that is the end of both.
"""

import os
import select
import stat

PROGRAM = __file__

if __name__ == "__main__":
    ends = select.poll()
    ends.register(1 if stat.S_ISFIFO(os.fstat(1).st_mode) else 0, 0)
    ends.poll()             # POLLERR or POLLHUP, which come unasked
