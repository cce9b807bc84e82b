#!/bin/sh
set -e
case "$1" in
remove | 0) ;; # dpkg, rpm
*) exit 0 ;;   # an upgrade
esac
[ -d /run/systemd/system ] || exit 0
systemctl disable --now sentinel.socket sentinel.service >/dev/null 2>&1 || true
