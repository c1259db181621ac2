# SPDX-License-Identifier: Apache-2.0
# What can send on this node. Out: "python=NAME|no bash=yes|no". Sets p and b for reach.sh.
v="import sys, hashlib, http.client, ssl; sys.exit(sys.version_info < (3, 6))"
p=no; for c in python3 /usr/libexec/platform-python; do
  $c -I -c "$v" 2>/dev/null || continue
  p=$c; break
done
b=yes; for c in bash curl sha256sum base64 head; do command -v $c >/dev/null 2>&1 || b=no; done
echo "python=$p bash=$b"
