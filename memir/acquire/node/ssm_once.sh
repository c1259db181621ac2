# SPDX-License-Identifier: Apache-2.0
# Run $S without a file anywhere: its output through a pipe, compressed, as text; standard error as it is. In: S ROOM.
# For the SSM transport before its session is open. The exit code is the output's last line inside the archive.
O=$({ ( eval "$S" ) </dev/null; printf '\n%s' "$?"; } | head -c 4000000 | gzip -nc | base64 | tr -d '\n')
if [ "${#O}" -gt "$ROOM" ]; then
  echo 'memir-ssm {"cut":true}'
else
  echo "O $O"
  echo 'memir-ssm {"cut":false}'
fi
