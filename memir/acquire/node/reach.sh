# SPDX-License-Identifier: Apache-2.0
# Whether the node reaches a store: any answer will do, who may store what is asked elsewhere. Behind probe.sh.
# In: URL REACH (reach.py). Out: "reached", or the reason on standard error.
if [ "$p" != no ]; then
  $p -I -c "$REACH" "$URL" && echo reached
elif [ "$b" = yes ]; then
  curl -sS --noproxy '*' -m 10 -o /dev/null "$URL" && echo reached
fi
