#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ends what 4-up.sh and 5-acts.sh started, by their pids.
. "$(dirname "$0")/env.sh"; cd "$EKSDIR"
for p in run/*.pid cp/*.pid; do [ -f $p ] && kill $(cat $p) 2>/dev/null; rm -f $p; done; true
