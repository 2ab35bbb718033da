#!/usr/bin/env bash
# A Vulkan device in software, for the tests of the WebGPU provider: unpacks SwiftShader out of Debian's chromium-common
# (31 MB) into the folder named, installs nothing, and prints the two lines of environment that use it.
set -euo pipefail
folder=${1:?"usage: scripts/swiftshader.sh FOLDER"}
mkdir -p "$folder"
cd "$folder"
if [ ! -f usr/lib/chromium/libvk_swiftshader.so ]; then
  apt-get download chromium-common >&2
  dpkg -x chromium-common_*.deb .
  rm chromium-common_*.deb
fi
test -f usr/lib/chromium/libvk_swiftshader.so
echo "export VK_ICD_FILENAMES=$PWD/usr/lib/chromium/vk_swiftshader_icd.json"
echo "export LD_LIBRARY_PATH=$PWD/usr/lib/chromium"
