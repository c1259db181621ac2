# SPDX-License-Identifier: Apache-2.0
# Make the run's private directory on tmpfs, take the node's lock, start the watchdog.
# In: RUN GRACE POLL NEED (bytes) WATCHDOG (script text). Out: one line "dir=... mounted=0|1 lock=... stale=..."
# Exit: 75 another run holds the lock, 73 no tmpfs to use, 74 cannot be written.
umask 077
BASE= NOEXEC=
while read -r _ mp fs opts _; do
  [ "$fs" = tmpfs ] || continue
  case $mp in /dev/shm|/run) ;; *) continue ;; esac
  case ,$opts, in *,ro,*) continue ;; esac
  # /dev/shm is preferred: /run is often small, and journald and systemd count on it
  if [ -z "$BASE" ] || [ "$mp" = /dev/shm ]; then
    BASE=$mp
    case ,$opts, in *,noexec,*) NOEXEC=1 ;; *) NOEXEC= ;; esac
  fi
done < /proc/mounts
[ -n "$BASE" ] || { echo "no tmpfs at /dev/shm or /run" >&2; exit 73; }
LOCK=$BASE/.memir-lock
STALE=
# -n and the look first: mount and umount otherwise make /run/mount where it is not there yet
unmount() { if grep -q " $1 tmpfs " /proc/mounts; then umount -n "$1" 2>/dev/null; fi; }
take() {
  mkdir "$LOCK" 2>/dev/null || return 1
  echo "$RUN" > "$LOCK/run"
  date -u +%Y-%m-%dT%H:%M:%SZ > "$LOCK/since"
}
PLANTED=
if ! take; then
  # /dev/shm is open to all: a lock that is not root's was put there to keep us out
  owner=$(stat -c %u "$LOCK" 2>/dev/null)
  if [ -n "$owner" ] && [ "$owner" != "$(id -u)" ]; then
    PLANTED=$owner
    rm -rf "$LOCK"
    take || { echo "cannot take the lock: user $owner keeps putting $LOCK there" >&2; exit 74; }
  fi
fi
if [ -z "$PLANTED" ] && [ "$(cat "$LOCK/run" 2>/dev/null)" != "$RUN" ]; then
  [ -d "$LOCK" ] || { echo "cannot write to $BASE" >&2; exit 74; }
  # a holder writes its watchdog's pid within moments of taking the lock
  i=0
  while [ ! -s "$LOCK/pid" ] && [ -d "$LOCK" ] && [ $i -lt 5 ]; do sleep 1; i=$((i + 1)); done
  old=$(cat "$LOCK/pid" 2>/dev/null)
  if [ -n "$old" ] && kill -0 "$old" 2>/dev/null; then
    echo "run $(cat "$LOCK/run" 2>/dev/null) since $(cat "$LOCK/since" 2>/dev/null)" >&2
    exit 75
  fi
  STALE=$(cat "$LOCK/run" 2>/dev/null)
  # a dead holder's directory: only a name of ours is ever removed
  case $STALE in *[!0-9a-z-]*|'') ;; *) unmount "$BASE/.memir-$STALE"; rm -rf "$BASE/.memir-$STALE" ;; esac
  rm -rf "$LOCK"
  take || { echo "another run took the lock just now" >&2; exit 75; }
fi
DIR=$BASE/.memir-$RUN
undo() { rm -rf "$DIR" "$LOCK"; exit 74; }
mkdir -m 700 "$DIR" || undo
MOUNTED=0
if [ -n "$NOEXEC" ]; then
  # noswap (6.4 and later) keeps the pages out of a swap device
  mount -n -t tmpfs -o "mode=700,nosuid,nodev,noswap,size=$NEED" memir "$DIR" 2>/dev/null ||
    mount -n -t tmpfs -o "mode=700,nosuid,nodev,size=$NEED" memir "$DIR" || undo
  MOUNTED=1
fi
: > "$DIR/alive" || undo
: > "$DIR/groups"
printf '%s' "$WATCHDOG" > "$DIR/watchdog.sh" || undo
DIR=$DIR LOCK=$LOCK MOUNTED=$MOUNTED GRACE=$GRACE POLL=$POLL \
  setsid /bin/sh "$DIR/watchdog.sh" </dev/null >/dev/null 2>&1 &
echo $! > "$LOCK/pid" || undo
echo "dir=$DIR mounted=$MOUNTED lock=$LOCK planted=$PLANTED stale=$STALE"
