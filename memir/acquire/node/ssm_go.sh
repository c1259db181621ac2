# SPDX-License-Identifier: Apache-2.0
# One command of a session. In: as ssm_lib.sh. Exit: 77 the session is gone, else the script's.
[ -f "$D/lib.sh" ] || exit 77
. "$D/lib.sh"
memir_go
