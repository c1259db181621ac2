# SPDX-License-Identifier: Apache-2.0
# Library of a session; later commands read it from tmpfs. memir_go runs $S. In: D N S SEAL SUM ROOM ERR.
# SEAL is a CMS envelope (RFC 5652) that only the key in this directory opens: what it holds is in no log. Its first
# line says "inline", or "url URL" where the data is another envelope in the bucket; SUM is the data's SHA-256.
umask 077
memir_fetch() {
  if command -v curl >/dev/null 2>&1; then
    printf 'url = "%s"\n' "$1" | curl -K - -sS --fail --retry 5 --retry-all-errors --connect-timeout 15 -o "$2"
  else
    printf '%s\n' "$1" | python3 -I -c 'import sys, urllib.request as u
open(sys.argv[1], "wb").write(u.urlopen(sys.stdin.readline().strip(), timeout=60).read())' "$2"
  fi
}
memir_open() { openssl cms -decrypt -binary -inform DER -recip "$D/cert" -inkey "$D/key" -in "$1" -out "$2" 2>>"$D/x.$N"; }
memir_data() {
  : > "$D/d.$N"
  [ -n "$SEAL" ] || return 0
  printf %s "$SEAL" | base64 -d > "$D/s.$N" && memir_open "$D/s.$N" "$D/p.$N" || return 1
  IFS= read -r L < "$D/p.$N"
  case $L in
    inline) tail -c +8 "$D/p.$N" > "$D/d.$N" ;;
    "url "*) memir_fetch "${L#url }" "$D/s.$N" 2>>"$D/x.$N" && memir_open "$D/s.$N" "$D/d.$N" || return 1 ;;
    *) return 1 ;;
  esac
  rm -f "$D/s.$N" "$D/p.$N"
  [ "$(sha256sum < "$D/d.$N" | cut -d ' ' -f 1)" = "$SUM" ]
}
memir_go() {
  touch "$D/alive" || exit 77
  ( while sleep 5 && [ -d "$D" ]; do touch "$D/alive"; done ) </dev/null >/dev/null 2>&1 &
  beat=$!
  if memir_data; then
    ( eval "$S" ) < "$D/d.$N" > "$D/o.$N" 2> "$D/e.$N"
    c=$?
  else
    c=78
    : > "$D/o.$N"
    { echo "the data did not open or is not what was sent"; tail -c 500 "$D/x.$N"; } > "$D/e.$N" 2>/dev/null
  fi
  kill "$beat" 2>/dev/null
  rm -f "$D/d.$N" "$D/s.$N" "$D/p.$N" "$D/x.$N"
  n=$(wc -c < "$D/o.$N") h=$(sha256sum < "$D/o.$N" | cut -d ' ' -f 1)
  E=$(tail -c "$ERR" "$D/e.$N" | gzip -nc | base64 | tr -d '\n')
  O=
  if [ "$n" -lt 2000000 ]; then O=$(gzip -nc < "$D/o.$N" | base64 | tr -d '\n'); fi
  k=false
  if [ -n "$O" ] && [ "${#O}" -le "$ROOM" ]; then echo "O $O"; rm -f "$D/o.$N"; else k=true; fi
  rm -f "$D/e.$N"
  echo "E $E" >&2
  echo "memir-ssm {\"code\":$c,\"size\":$n,\"sha256\":\"$h\",\"kept\":$k}"
  exit $c
}
