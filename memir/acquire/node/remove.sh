# SPDX-License-Identifier: Apache-2.0
# Stop everything of the run and remove it. In: DIR LOCK MOUNTED. Safe to run twice.
remove() {
  for sig in TERM KILL; do
    again=
    for group in $(cat "$DIR/groups" 2>/dev/null); do
      kill -s "$sig" -- "-$group" 2>/dev/null && again=1
    done
    [ -n "$again" ] || break
    sleep 0.2 2>/dev/null || sleep 1
  done
  [ -s "$DIR/undo.sh" ] && /bin/sh "$DIR/undo.sh" >/dev/null 2>&1
  if [ "$MOUNTED" = 1 ]; then umount -n "$DIR" 2>/dev/null || umount -n -l "$DIR" 2>/dev/null; fi
  rm -rf "$DIR" "$LOCK"
}
