#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# eks.sh NAME [SECOND]: everything, one step after the other; SECOND: a second state of the same node. Binaries and trees are kept; remove EKSDIR to build anew.
cd "$(dirname "$0")" && . ./env.sh; set -x
bash 0-prepare.sh && bash 1-runtime.sh && bash 2-root.sh && bash 3-disk.sh && WANT=${WANT:-20} bash 4-up.sh && sleep ${SETTLE:-60} && bash 5-acts.sh && bash 6-capture.sh "${1:-eks1}"
[ -z "$2" ] || { bash 5b-acts.sh && BEFORE_DUMP=swapout.sh bash 6-capture.sh "$2"; }
bash 7-down.sh; date
