# SPDX-License-Identifier: Apache-2.0
# Store a file by a URL that is signed for its hash. In: FILE CHECKSUM (base64); the URL on standard input, since a
# command line is in the process list. For put.sh.
read -r url && {
  printf 'url = "%s"\n' "${url%%#*}"
  case $url in *"#kms="*)
    printf 'header = "x-amz-server-side-encryption: aws:kms"\n'
    printf 'header = "x-amz-server-side-encryption-aws-kms-key-id: %s"\n' "${url##*#kms=}" ;;
  esac
} | curl -K - -sS --fail -H Expect: --retry 4 --retry-all-errors \
  -o /dev/null -H "x-amz-checksum-sha256: $CHECKSUM" -T "$FILE"
