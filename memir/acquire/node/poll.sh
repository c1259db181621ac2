# SPDX-License-Identifier: Apache-2.0
# Give the uploader its URLs, then wait for what it asks for next. In: DIR LENGTH (bytes of URLs on standard input)
# SERIAL OFFSET (bytes of "want" that were read) ROUNDS PAUSE. Out: "want" from OFFSET on.
# Exit: 66 no directory, 67 cannot be written, 68 the URLs are not whole.
cd "$DIR" || exit 66
cat > grants.new || exit 67
if [ "$LENGTH" -gt 0 ]; then
  [ "$(wc -c < grants.new)" -eq "$LENGTH" ] || exit 68
  mv grants.new "grants.$SERIAL"
fi
touch alive
i=0
while [ $i -lt "$ROUNDS" ]; do
  s=$(wc -c < want 2>/dev/null || echo 0)
  [ "$s" -gt "$OFFSET" ] && break
  [ -f consumer.json ] && break
  sleep "$PAUSE"; i=$((i+1))
done
tail -c +$((OFFSET + 1)) want 2>/dev/null | head -c 200000
