<?php
$id = getenv('PEER_URL') . 'idp';
$state = getenv('PEER_STATE');
$metadata[$id] = [
    'host' => '__DEFAULT__',
    'privatekey' => 'idp.key',
    'certificate' => 'idp.crt',
    'auth' => 'people',
    'userid.attribute' => 'uid',
    'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    'saml20.sign.response' => true,
    'saml20.sign.assertion' => true,
    'assertion.encryption' => false,
    'nameid.encryption' => false,
    'validate.authnrequest' => false,
    'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic',
    'NameIDFormat' => [
        'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
        'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
    ],
    'authproc' => [
        4 => ['class' => 'saml:PersistentNameID', 'attribute' => 'uid'],
        5 => ['class' => 'saml:TransientNameID'],
    ],
];
if (is_file("$state/cert/new.crt")) {
    $metadata[$id] += ['new_privatekey' => 'new.key', 'new_certificate' => 'new.crt'];
}
if (is_file("$state/switches.json")) {
    $metadata[$id] = json_decode(file_get_contents("$state/switches.json"), true) + $metadata[$id];
}
