# SPDX-License-Identifier: Apache-2.0
# Run the tool on a FIFO and give the stream to the consumer. In: DIR TOOL CONSUMER NICE HASH.
# Standard output belongs to the consumer; the last line on standard error is the node's receipt.
umask 077
cd "$DIR" || exit 71
rm -f stream hash tool.out tool.rc tool.pid tool.done consumer.rc consumer.pid consumer.json sum
mkfifo -m 600 stream || exit 72
# 3 opens without waiting for a peer; 4 is the only reader and 5 a spare writer, so that neither side can block
# for ever on a peer that died before it opened the FIFO
exec 3<>stream
exec 4<stream 5>stream
exec 3>&-
H=
if [ "$HASH" = 1 ]; then
  mkfifo -m 600 hash || exit 72
  nice -n "$NICE" setsid sha256sum < hash > sum 4<&- 5>&- 2>/dev/null &
  H=$!
  echo "$H" >> groups
fi
# a consumer that ends early leaves no reader, and the tool would wait for one for ever: open and close the FIFO
# till the tool has seen it
nice -n "$NICE" setsid /bin/sh -c '
  (eval "$1"); echo $? > consumer.rc; exec </dev/null
  while [ ! -e tool.done ]; do exec 6<>stream; exec 6>&-; sleep 0.2 2>/dev/null || sleep 1; done
' memir "$CONSUMER" <&4 4<&- 5>&- &
C=$!
echo "$C" >> groups
echo "$C" > consumer.pid
exec 4<&-
nice -n "$NICE" setsid /bin/sh -c '(eval "$1"); echo $? > tool.rc' memir "$TOOL" </dev/null >tool.out 2>&1 5>&- &
T=$!
echo "$T" >> groups
echo "$T" > tool.pid
wait "$T"
: > tool.done
# the last writer goes: the consumer sees the end of the stream
exec 5>&-
wait "$C"
if [ -n "$H" ]; then wait "$H"; fi
receipt
