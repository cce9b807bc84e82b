#!/bin/sh
# A first installation starts nothing: there is a configuration to write first. Later ones
# have a service that runs replaced without a gap; what fails leaves the former process
# serving.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
case "$1" in
configure) former="$2" ;;               # dpkg: the version before, if there was one
*) former=$([ "${1:-1}" -gt 1 ] && echo yes || true) ;; # rpm: how many are installed now
esac
if [ -z "$former" ]; then
    systemctl enable sentinel.service >/dev/null 2>&1 || true
    echo "Sentinel is installed. Edit /etc/sentinel/config.kdl, then: systemctl start sentinel"
elif systemctl is-active --quiet sentinel.service; then
    sentinel upgrade || echo "The former version of Sentinel serves on; mend what is said above, then: sentinel upgrade"
fi
