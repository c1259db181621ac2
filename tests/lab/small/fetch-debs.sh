#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fetch Debian cloud kernels into $M/debs using per-suite, private apt dirs; nothing gets installed.
# The mirror URL is read from the machine's own apt configuration.
set -eu
M=${M:-${HOME}/.cache/memir-lab/small}; mkdir -p "$M/debs" "$M/apt"
BASE=$(awk "/^URIs:/{print \$2; exit}" /etc/apt/sources.list.d/debian.sources)
fetch() { # suite pkg-regex...
  s=$1; d=$M/apt/$s; mkdir -p $d/lists/partial $d/cache/archives/partial $d/etc
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $BASE $s main" > $d/sources.list
  [ "$s" = bullseye ] && echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $BASE-security bullseye-security main" >> $d/sources.list
  O="-o Dir::Etc::sourcelist=$d/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=$d/lists -o Dir::Cache=$d/cache -o Dir::State::status=/dev/null -o APT::Architecture=amd64 -o Acquire::Languages=none"
  apt-get $O update >$d/update.log 2>&1 || { echo "$s update failed"; tail -3 $d/update.log | sed "s#//[^/]*#//HOST#"; }
  p=$(apt-cache $O depends linux-image-cloud-amd64 | awk '/Depends: linux-image/{print $2; exit}')
  echo "$s -> $p"
  # 7.x splits modules out of the image; take whatever pieces the image depends on
  extra=$(apt-cache $O depends $p | awk '/Depends: linux-(binary|modules|base)-[0-9]/{print $2}')
  (cd $M/debs && apt-get $O download $p $extra)
}
for s in ${@:-bullseye bookworm trixie forky}; do fetch $s || echo "FAILED $s"; done
(cd $M/debs && apt-get download busybox-static)
# unpack: k/<major.minor>/ holds one kernel with its modules (7.x is split over image, base, modules, binary)
for f in $M/debs/linux-*.deb; do v=$(basename $f | sed -E 's/^linux-[a-z]+-([0-9]+\.[0-9]+).*/\1/'); mkdir -p $M/k/$v; dpkg-deb -x $f $M/k/$v; done
mkdir -p $M/bb; dpkg-deb -x $M/debs/busybox-static*.deb $M/bb; rm -rf $M/apt; ls $M/k $M/bb/bin
