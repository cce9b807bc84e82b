#!/bin/sh
# The user has to be there before the files are, which belong to its group.
set -e
if ! getent group sentinel >/dev/null; then
    groupadd --system sentinel
fi
if ! getent passwd sentinel >/dev/null; then
    useradd --system --gid sentinel --home-dir /var/lib/sentinel --no-create-home \
        --shell /usr/sbin/nologin --comment "Sentinel reverse proxy" sentinel
fi
