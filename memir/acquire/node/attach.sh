# SPDX-License-Identifier: Apache-2.0
# Wait for a capture that goes on without the controller that began it. In: DIR ROUNDS (seconds).
# Exit: 66 the run is not there, 67 it never came to a capture, 75 it still goes on, else as capture.sh.
cd "$DIR" 2>/dev/null || exit 66
[ -s consumer.pid ] && [ -s tool.pid ] || exit 67
# a side ends with its exit code in a file, or with its whole process group gone (killed, out of memory)
ended() { [ -s "$1.rc" ] || ! kill -s 0 -- "-$(cat "$1.pid")" 2>/dev/null; }
i=0
while :; do
  touch alive
  # the script that would have said so may have been killed with the controller's command
  if ended tool; then : > tool.done; fi
  if ended tool && ended consumer; then break; fi
  [ $i -lt "$ROUNDS" ] || exit 75
  i=$((i + 1))
  sleep 1
done
receipt
