#!/bin/sh
# Fetch the newest stock kernel of a Debian suite, and make what a virtual machine boots it with. Nothing is installed, and the machine's own apt is not touched.
# Usage: packaging/kernel.sh SUITE TREE    prints a folder outside of the repository, which is kept between runs: vmlinuz, initrd, modules.img, release
#   TREE, which packaging/tree.sh made, says where packages come from and has a static busybox
set -eu
suite=$1 tree=$2
kept=${XDG_CACHE_HOME:-$HOME/.cache}/bpftape
key=$(cksum <"$0" | cut -d ' ' -f 1)
kernel=$kept/kernel-$suite-$key
PATH=$PATH:/usr/sbin:/sbin
exec 9>"$kept/kernel.lock" # two of them at once would make the same
flock 9
if [ -d "$kernel" ]; then
    touch "$kernel"
    echo "$kernel"
    exit
fi

find "$kept" -maxdepth 1 -name "kernel-$suite-*" -mtime +7 -exec rm -rf {} +
rm -rf "$kernel.partial"
echo "kernel: fetching the newest of $suite" >&2
made=$kernel.partial apt=$kernel.partial/apt
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/fetched"
: >"$apt/status"
sed -n "s|^deb \([^[]*\) [a-z]* main.*|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \1 $suite main|p" "$tree/etc/apt/sources.list" | head -n 1 >"$apt/sources.list"
cat >"$apt/apt.conf" <<CONF
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Architecture "amd64";
APT::Sandbox::User "root";
Acquire::Languages "none";
CONF
export APT_CONFIG="$apt/apt.conf"
apt-get update -qq >&2
# The package of that name depends on the newest; in sid the kernel and its modules are packages of their own.
packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances linux-image-cloud-amd64 |
    grep -E '^linux-(base|binary|image|modules)-[0-9]')
# shellcheck disable=SC2086
(cd "$apt/fetched" && apt-get download -qq $packages >&2)
for package in "$apt/fetched"/*.deb; do dpkg-deb -x "$package" "$made/unpacked"; done

root=$made/unpacked modules=$made/tree/lib/modules
lib=$root/lib
if [ ! -d "$lib" ]; then lib=$root/usr/lib; fi # of newer suites
mkdir -p "$made/tree/lib"
mv "$lib/modules" "$modules"
release=$(ls "$modules")
cp "$root/boot/vmlinuz-$release" "$made/vmlinuz" 2>/dev/null || mv "$modules/$release/vmlinuz" "$made/vmlinuz" # it lies there in sid
depmod -b "$made/tree" "$release"
echo "$release" >"$made/release"

# The initrd loads what the disks need, mounts them, and goes on with the guest's own script.
root=$made/root
mkdir -p "$root/bin" "$root/modules" "$root/dev" "$root/proc" "$root/sys" "$root/root"
cp "$tree/bin/busybox" "$root/bin/"
for applet in sh mount insmod switch_root; do ln -s busybox "$root/bin/$applet"; done
number=100
modprobe --dirname "$made/tree" --set-version "$release" --show-depends --all virtio_pci virtio_blk ext4 | while read -r how path _; do
    number=$((number + 1))
    case $how:$path in
        insmod:*.ko) cp "$path" "$root/modules/$number.ko" ;;
        insmod:*.ko.xz) "$tree/bin/busybox" unxz -c "$path" >"$root/modules/$number.ko" ;;
    esac
done
cat >"$root/init" <<'INIT'
#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in /modules/*.ko; do insmod "$module" 2>/dev/null; done # one may be there already
mount -t ext4 /dev/vda /root
/bin/busybox mkdir -p /root/lib/modules
mount -t ext4 -o ro /dev/vdb /root/lib/modules
mount -t ext4 /dev/vdc /root/mnt
for place in dev proc sys; do mount -o move "/$place" "/root/$place"; done
exec switch_root /root /bin/sh /mnt/tests/vm/guest.sh
INIT
chmod 755 "$root/init"
(cd "$root" && find . | "$tree/bin/busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$made/initrd"
mke2fs -q -t ext4 -O ^has_journal -d "$modules" "$made/modules.img" 400M >/dev/null
rm -rf "$made/tree" "$made/unpacked" "$root" "$apt"
mv "$made" "$kernel"
echo "$kernel"
