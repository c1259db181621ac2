# SPDX-License-Identifier: Apache-2.0
# Run the collector from memory, at low priority. Set before: LOADER, ROOT ("" or the node's root as seen from here).
run() { if [ -n "$ROOT" ]; then chroot "$ROOT" "$@"; else "$@"; fi; }
for python in python3 /usr/bin/python3 /usr/libexec/platform-python /usr/local/bin/python3; do
  if run "$python" -I -S -B -c 'import sys; sys.exit(sys.version_info < (3, 6))' </dev/null 2>/dev/null; then
    run nice -n 10 "$python" -I -S -B -c "$LOADER"
    exit $?
  fi
done
echo 'the node has no Python 3.6 or later' >&2
exit 69
