# SPDX-License-Identifier: Apache-2.0
# AVML's version and options. In: PROGRAM.
"$PROGRAM" --version 2>&1
echo
"$PROGRAM" --help 2>&1
"$PROGRAM" acquire --help 2>&1
true
