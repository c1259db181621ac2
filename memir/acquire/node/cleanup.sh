# SPDX-License-Identifier: Apache-2.0
# The controller's own cleaning at the end. In: RUN. Out: "left=..." with what could not be removed.
# Goes by the run's name, so that it also finds a run whose first answer was lost with the connection.
left=
for base in /dev/shm /run; do
  DIR=$base/.memir-$RUN
  LOCK=$base/.memir-lock
  if [ "$(cat "$LOCK/run" 2>/dev/null)" != "$RUN" ]; then
    [ -d "$DIR" ] || continue
    LOCK=$DIR/none
  fi
  pid=$(cat "$LOCK/pid" 2>/dev/null)
  MOUNTED=0
  if grep -q " $DIR tmpfs " /proc/mounts; then MOUNTED=1; fi
  remove
  [ -n "$pid" ] && kill -s KILL -- "-$pid" 2>/dev/null
  for path in "$DIR" "$LOCK"; do [ -e "$path" ] && left="$left $path"; done
done
echo "left=$left"
[ -z "$left" ]
