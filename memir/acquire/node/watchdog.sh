# SPDX-License-Identifier: Apache-2.0
# Remove the run when nobody has touched "alive" for GRACE seconds. In: DIR LOCK MOUNTED GRACE POLL.
# Seconds are counted by polls, not by the clock: a clock that is set during the run must not end it.
trap '' HUP INT PIPE
last= idle=0
while [ -d "$DIR" ]; do
  sleep "$POLL"
  now=$(stat -c %Y.%Z.%i "$DIR/alive" 2>/dev/null; ls -l --full-time "$DIR/alive" 2>/dev/null)
  [ -n "$now" ] || break
  if [ "$now" = "$last" ]; then idle=$((idle + POLL)); else idle=0; last=$now; fi
  [ "$idle" -lt "$GRACE" ] || break
done
[ -d "$DIR" ] || [ -d "$LOCK" ] || exit 0
remove
