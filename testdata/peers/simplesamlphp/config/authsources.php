<?php
// People, as name:password => attributes.
$config = [
    'people' => [
        'exampleauth:UserPass',
        'alice:alice-pw' => [
            'uid' => ['alice'],
            'mail' => ['alice@example.org'],
            'displayName' => ['Alice Ångström & <Co> "A" \'B\''],   // what XML escapes
            'groups' => ['aws-admins', 'developers', 'Team, "Quoted" & Co', 'Führung'],
        ],
        'bob:bob-pw' => [
            'uid' => ['bob'],
            'mail' => ['bob@example.org'],
            'displayName' => ['Bob'],
            'groups' => ['developers'],
        ],
        'carol:carol-pw' => [                                      // no group at all
            'uid' => ['carol'],
            'mail' => ['carol@example.org'],
            'displayName' => ['Carol'],
        ],
        'dave:dave-pw' => [                                        // as Entra ID sends somebody with too many groups
            'uid' => ['dave'],
            'mail' => ['dave@example.org'],
            'displayName' => ['Dave'],
            'http://schemas.microsoft.com/claims/groups.link' => ['https://graph.windows.net/TENANT/users/DAVE/getMemberObjects'],
        ],
    ],
];
