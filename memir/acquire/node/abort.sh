# SPDX-License-Identifier: Apache-2.0
# Stop the tool and the consumer; the capture script then ends by itself, with its receipt. In: DIR.
for group in $(cat "$DIR/groups"); do
  kill -s TERM -- "-$group" 2>/dev/null
done
true
