#!/bin/sh
set -e
case "$1" in
purge) rm -rf /var/lib/sentinel /var/log/sentinel ;;
remove | 0) ;;
*) exit 0 ;; # an upgrade
esac
rm -f /run/sentinel.pid
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
