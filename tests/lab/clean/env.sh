# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts of this folder. PARTS: what ../kube made (only read); LAB: all that is made here.
# shellcheck disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/../kube/env.sh"; UP=$HERE
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PARTS=${PARTS:?folder of ../kube}
