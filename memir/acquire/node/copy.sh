# SPDX-License-Identifier: Apache-2.0
# A copy of a file, at most LIMIT bytes, that does not change while it is sent. In: FILE COPY LIMIT. Out: size, SHA-256.
umask 077
head -c "$LIMIT" "$FILE" > "$COPY" && wc -c < "$COPY" && sha256sum < "$COPY" || { rm -f "$COPY"; exit 1; }
