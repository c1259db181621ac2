#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# After ../1-packages.sh, ../2-kubernetes.sh and ../3-node.sh: links to the Kubernetes binaries, and the node's root with trixie's 6.12 kernel.
set -e; . "$(dirname "$0")/env.sh"; cd "$EKSDIR"; 
DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq xfsprogs fdisk libseccomp-dev pkg-config > /dev/null
for f in key.pub l-bb l-pause l-app web; do [ -e $f ] || cp -a "$LAB/$f" .; done
[ -f root.kver ] && exit 0
d=apt; mkdir -p $d/lists/partial $d/cache/archives/partial deb
BASE=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $BASE trixie main" > $d/sources.list
O="-o Dir::Etc::sourcelist=$PWD/$d/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=$PWD/$d/lists -o Dir::Cache=$PWD/$d/cache -o Dir::State::status=/dev/null -o Acquire::Languages=none"
apt-get $O update > $d/update.log 2>&1
P=$(apt-cache $O depends linux-image-cloud-amd64 | awk '/Depends: linux-image/{print $2; exit}')
(cd deb && apt-get $O download "$P" > /dev/null 2>&1)
rm -rf root; cp -a "$LAB/root-bookworm" root; cp deb/*.deb root/root/; mount -t proc proc root/proc
chroot root sh -c 'dpkg -i --force-all /root/*.deb' > dpkg.log 2>&1 || true
V=${P#linux-image-}; [ -f root/boot/initrd.img-$V ] || chroot root update-initramfs -c -k "$V" > /dev/null 2>&1
umount -l root/proc; rm -f root/root/*.deb; echo "$V" > root.kver
