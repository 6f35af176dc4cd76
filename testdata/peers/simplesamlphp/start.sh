#!/usr/bin/env bash
# SimpleSAMLphp as an identity provider on http://127.0.0.1:PORT, until stdin ends.
#
#   usage: start.sh PORT STATE_DIR
#
# Metadata is at /saml2/idp/metadata.php. People: alice, bob and carol, with the
# password NAME-pw (config/authsources.php). Read anew at each request:
#
#   STATE_DIR/sp.d/*.xml         metadata of service providers
#   STATE_DIR/switches.json      options of the hosted identity provider that differ
#                                from metadata/saml20-idp-hosted.php
#   STATE_DIR/cert/idp.{key,crt} the signing key; made here if there is none
#   STATE_DIR/cert/new.{key,crt} a second key, published beside it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
port=$1
mkdir -p "$2"/{cert,data,log,sess,sp.d,tmp}
state=$(cd "$2" && pwd)
www=/usr/share/simplesamlphp/www
missing=()
[ -d "$www" ] || missing+=(simplesamlphp)
command -v openssl >/dev/null || missing+=(openssl)
if command -v php >/dev/null; then
	php -r 'exit(extension_loaded("dom") ? 0 : 1);' || missing+=(php-xml)
	php -r 'exit(extension_loaded("mbstring") ? 0 : 1);' || missing+=(php-mbstring)
else
	missing+=(php-cli php-xml php-mbstring)
fi
if [ ${#missing[@]} -gt 0 ]; then
	echo "missing Debian packages: ${missing[*]} (testdata/peers/simplesamlphp/install.sh installs them)" >&2
	exit 3
fi

if [ ! -s "$state/cert/idp.key" ]; then
	openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=test-idp \
		-keyout "$state/cert/idp.key" -out "$state/cert/idp.crt" 2>/dev/null
fi
export SIMPLESAMLPHP_CONFIG_DIR=$here/config
export PEER_METADATA=$here/metadata/ PEER_STATE=$state PEER_URL=http://127.0.0.1:$port/
export PHP_CLI_SERVER_WORKERS=2
php -d display_errors=0 -d error_log="$state/log/php.log" -d opcache.enable_cli=1 -S "127.0.0.1:$port" -t "$www" &
php=$!
cat <&0 >/dev/null &
# php -S does not stop its workers when it is stopped.
trap 'kill $(cat "/proc/$php/task/$php/children") "$php" 2>/dev/null || true; wait' EXIT
trap 'exit 0' TERM INT
wait -n
