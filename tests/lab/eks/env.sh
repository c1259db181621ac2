# SPDX-License-Identifier: Apache-2.0
# Sourced by every script here. LAB: what ../kube made (only read); EKSDIR: all that is made here; HELD: where images go.
# shellcheck disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/../kube/env.sh"; UP=$HERE
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
EKSDIR=${EKSDIR:-$(dirname "$LAB")/eks} HELD=${HELD:-$EKSDIR/out}
CTRD=${CTRD:-v2.2.9} RUNC=${RUNC:-v1.3.6} MB=${MB:-2048}
mkdir -p "$EKSDIR/run" "$EKSDIR/bin" "$EKSDIR/images" "$HELD"
K="$LAB/k8s/kubectl --kubeconfig $EKSDIR/cp/admin.conf"
