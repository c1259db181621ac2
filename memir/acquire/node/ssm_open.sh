# SPDX-License-Identifier: Apache-2.0
# Open a session of the SSM transport: a private directory on tmpfs with a key pair that lives only there, a
# library for later commands, and a watchdog in its own session. In: NAME GRACE POLL LIB WATCH.
umask 077
D=
while read -r _ mp fs opts _; do
  [ "$fs" = tmpfs ] || continue
  case $mp in /dev/shm) D=$mp; break ;; /run) D=$mp ;; esac
done < /proc/mounts
[ -n "$D" ] || { echo "no tmpfs at /dev/shm or /run" >&2; exit 73; }
D=$D/.memir-ssm-$NAME
mkdir -m 700 "$D" || exit 74
cd "$D" || exit 74
: > alive
CERT=
if command -v openssl >/dev/null 2>&1; then
  RANDFILE=$D/.rnd openssl req -x509 -newkey rsa:3072 -nodes -subj /CN=memir -days 3 -keyout key -out cert >req.log 2>&1 &&
    CERT=$(base64 < cert | tr -d '\n')
fi
printf '%s' "$LIB" > lib.sh
printf '%s' "$WATCH" > watch.sh
# SIGKILL of this command's group must not reach the watchdog, and an open output would keep the command going
D=$D GRACE=$GRACE POLL=$POLL setsid /bin/sh watch.sh </dev/null >/dev/null 2>&1 &
echo $! > watch.pid
H=none
for h in python3 curl; do command -v $h >/dev/null 2>&1 && H=$h; done
echo "memir-ssm {\"dir\":\"$D\",\"cert\":\"$CERT\",\"http\":\"$H\",\"uid\":$(id -u)}"
