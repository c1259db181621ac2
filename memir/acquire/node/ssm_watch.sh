# SPDX-License-Identifier: Apache-2.0
# Remove the session when no command has touched it for GRACE seconds (the controller has vanished, or the agent
# killed a command before it could clean). In: D GRACE POLL. Counts polls, not the clock.
trap '' HUP INT PIPE
last= idle=0
while [ -d "$D" ]; do
  sleep "$POLL"
  now=$(ls -l --full-time "$D/alive" 2>/dev/null)
  if [ "$now" = "$last" ]; then idle=$((idle + POLL)); else idle=0; last=$now; fi
  [ "$idle" -lt "$GRACE" ] || rm -rf "$D"
done
