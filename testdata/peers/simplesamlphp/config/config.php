<?php
// A throw-away identity provider; what changes comes from start.sh.
$state = getenv('PEER_STATE');
$base = getenv('PEER_URL');

$sources = [['type' => 'flatfile']];
foreach (glob($state . '/sp.d/*.xml') as $file) {
    $sources[] = ['type' => 'xml', 'file' => $file];
}

$config = [
    'baseurlpath' => $base,
    'certdir' => $state . '/cert/',
    'loggingdir' => $state . '/log/',
    'datadir' => $state . '/data/',
    'tempdir' => $state . '/tmp/',
    'metadatadir' => getenv('PEER_METADATA'),
    'attributenamemapdir' => '/etc/simplesamlphp/attributemap/',
    'secretsalt' => 'for tests only, no secret',
    'auth.adminpassword' => 'for-tests-only',
    'admin.protectindexpage' => false,
    'admin.protectmetadata' => false,
    'admin.checkforupdates' => false,
    'technicalcontact_name' => 'Test',
    'technicalcontact_email' => 'na@example.org',
    'timezone' => 'UTC',
    'logging.level' => SimpleSAML\Logger::INFO,
    'logging.handler' => 'file',
    'logging.logfile' => 'simplesamlphp.log',
    'showerrors' => true,
    'errorreporting' => false,
    'debug' => ['saml' => true, 'backtraces' => true, 'validatexml' => false],
    'enable.saml20-idp' => true,
    'enable.http_post' => false,
    'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
    'session.duration' => 8 * 3600,
    'session.datastore.timeout' => 4 * 3600,
    'session.state.timeout' => 3600,
    'session.cookie.name' => 'SimpleSAMLSessionID',
    'session.cookie.path' => '/',
    'session.cookie.secure' => false,
    'session.cookie.samesite' => null,
    'session.phpsession.cookiename' => 'SimpleSAML',
    'session.phpsession.savepath' => $state . '/sess',
    'session.phpsession.httponly' => true,
    'session.authtoken.cookiename' => 'SimpleSAMLAuthToken',
    'store.type' => 'phpsession',
    'language' => ['priorities' => []],
    'language.available' => ['en'],
    'language.default' => 'en',
    'theme.use' => 'default',
    'production' => true,
    'authproc.idp' => [],
    'metadata.sources' => $sources,
    'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
];
