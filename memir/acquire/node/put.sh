# SPDX-License-Identifier: Apache-2.0
# Run a program that stores a file, then remove the file. In: SEND (a command) FILE; the URL on standard input.
eval "$SEND"
code=$?
rm -f "$FILE"
exit $code
