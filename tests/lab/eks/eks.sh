#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# eks.sh NAME [SECOND]: everything, one step after the other; SECOND: a second state of the same node. Binaries and trees are kept; remove EKSDIR to build anew.
# A step that fails ends the run; what was started is ended in any case.
cd "$(dirname "$0")" && . ./env.sh; set -ex
trap 'bash 7-down.sh; date' EXIT
for step in 0-prepare 1-runtime 2-root 3-disk; do bash $step.sh; done
WANT=${WANT:-20} bash 4-up.sh; sleep "${SETTLE:-60}"; bash 5-acts.sh; bash 6-capture.sh "${1:-eks1}"
[ -z "$2" ] || { bash 5b-acts.sh; BEFORE_DUMP=swapout.sh bash 6-capture.sh "$2"; }
