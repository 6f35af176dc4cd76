#!/usr/bin/env bash
# Installs SimpleSAMLphp from Debian's packages. Run as root. Debian's package brings
# Apache along; no service is started, neither by the package nor by us.
set -euo pipefail
packages=(simplesamlphp php-cli php-xml php-mbstring openssl)

# invoke-rc.d asks this file; 101 is "not allowed".
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
