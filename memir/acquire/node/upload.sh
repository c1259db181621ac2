# SPDX-License-Identifier: Apache-2.0
# Uploads standard input to S3 part by part with bash, curl and coreutils; the same files and exit codes as
# upload.py: want, grants.N, done, consumer.json. In: DIRECTORY PART_SIZE --buffers N --rate BYTES ...
# One part is on its way while the next is read: two parts on tmpfs at most (reading stops until one is free).
# URLs go to curl through its standard input, never on a command line.
set -u
umask 077
dir=$1 part=$2
shift 2
rate=0 attempts=12 patience=900 backoff=0.5
while [ $# -gt 1 ]; do
  case $1 in
    --rate) rate=$2 ;;
    --attempts) attempts=$2 ;;
    --patience) patience=$2 ;;
    --backoff) backoff=$2 ;;
  esac
  shift 2
done
cd "$dir" || exit 3
: > retries
: > parts.url

# the URL for part $1, attempt $2; grants that belong to others are kept
grant() {
  local end=$((SECONDS + patience)) file word number attempt url
  while [ $SECONDS -lt $end ]; do
    for file in grants.[0-9]*; do
      [ -f "$file" ] || continue
      while read -r number attempt url; do
        if [ "$number" = STOP ]; then echo "told to stop: $attempt $url" > error; return 5; fi
        [ "$number" != M ] && printf '%s\n' "$url" > "url.$number.$attempt"
      done < "$file"
      rm -f "$file"
    done
    if [ -s "url.$1.$2" ]; then cat "url.$1.$2"; rm -f "url.$1.$2"; return 0; fi
    sleep 0.05
  done
  echo "part $1: no grant came in $patience s; is the controller gone?" > error
  return 4
}

# send file part.$1: number, offset, size, hash
send() {
  local number=$1 offset=$2 size=$3 hash=$4 sum url='' renew=0 try=0 status code etag
  sum=$(printf "$(printf %s "$hash" | sed 's/../\\x&/g')" | base64 | tr -d '\n')
  while [ "$try" -lt "$attempts" ]; do
    if [ "$try" -gt 0 ]; then
      echo . >> retries
      sleep "$(awk -v b="$backoff" -v t="$try" 'BEGIN { s = b * 2 ^ (t - 1); print (s > 30) ? 30 : s }')"
    fi
    if [ -z "$url" ]; then
      echo "$number $size $hash $renew" >> want
      url=$(grant "$number" "$renew") || return $?
      renew=$((renew + 1))
    fi
    status=$({ printf 'url = "%s"\n' "$url"; [ "$rate" != 0 ] && printf 'limit-rate = %s\n' "$rate"; :; } |
      curl -K - -sS -H Expect: -H "x-amz-checksum-sha256: $sum" -T "part.$number" --connect-timeout 15 \
        --speed-limit 1 --speed-time 60 -D "head.$number" -o "body.$number" -w '%{http_code}' 2> "curl.$number")
    if [ "$status" = 200 ]; then
      etag=$(tr -d '\r' < "head.$number" | sed -n 's/^[Ee][Tt][Aa][Gg]: *//p' | tail -n 1)
      if [ -n "$etag" ]; then
        echo "$number $offset $size $hash $etag" >> done
        touch alive 2>/dev/null
        rm -f "part.$number" "head.$number" "body.$number" "curl.$number"
        return 0
      fi
    fi
    code=$(sed -n 's/.*<Code>\([A-Za-z]*\)<\/Code>.*/\1/p' "body.$number" 2>/dev/null | head -n 1)
    echo "part $number: HTTP $status $code $(head -c 200 "curl.$number" | tr -d '"\\\n')" > error
    case $code in NoSuchUpload|NoSuchBucket|EntityTooLarge|InvalidPart) return 3 ;; esac
    case $status.$code in 403.*|*.ExpiredToken|*.InvalidToken|*.RequestTimeTooSkewed) url= ;; esac
    rm -f "body.$number"
    try=$((try + 1))
  done
  return 3
}

mkfifo whole.fifo || exit 3
sha256sum < whole.fifo > whole.sum &
summer=$!
exec 7> whole.fifo
exec 8<&0
number=1 total=0 code=0 flying=
while :; do
  # the whole stream's hash is fed beside the part's own file
  head -c "$part" <&8 | tee "part.$number" >&7
  size=$(wc -c < "part.$number")
  if [ "$size" -eq 0 ]; then rm -f "part.$number"; break; fi
  hash=$(sha256sum < "part.$number" | cut -d ' ' -f 1)
  if [ -n "$flying" ]; then wait "$flying" || { code=$?; flying=; break; }; fi
  # $! of a list in the background is its subshell: its status is send's
  send "$number" "$total" "$size" "$hash" &
  flying=$!
  total=$((total + size))
  number=$((number + 1))
  [ "$size" -lt "$part" ] && break
done
if [ -n "$flying" ]; then wait "$flying" || code=$?; fi
exec 7>&-
wait "$summer"
sum=
[ "$code" = 0 ] && sum=$(cut -d ' ' -f 1 whole.sum)
error=
[ "$code" = 0 ] || error=$(head -c 400 error 2>/dev/null | tr -d '"\\\n')
rm -f part.* url.* parts.url
printf '{"uploader":"bash","parts":%d,"size":%d,"sha256":"%s","retries":%d,"error":"%s"}' \
  "$(wc -l < done 2>/dev/null || echo 0)" "$total" "$sum" "$(wc -l < retries)" "$error" > consumer.json.new
mv consumer.json.new consumer.json
[ -n "$error" ] && echo "memir upload: $error" >&2
exit "$code"
