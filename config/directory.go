package config

import "github.com/rolecall/rolecall/config/secret"

// Password is what passwords of the directory must be like.
type Password struct {
	MinLength int `yaml:"min_length" default:"12" for:"directory" doc:"The least number of characters, 8 to 64. Nothing is asked about which."`
}

// Passkeys is the relying party of WebAuthn.
type Passkeys struct {
	RPID    Text   `yaml:"rp_id" for:"directory" doc:"The domain that passkeys are for: the host of server.url (the default) or of one of origins, or a domain above it."`
	Origins []Text `yaml:"origins" for:"directory" doc:"Further origins that may use them: https://HOST, or android:apk-key-hash:HASH for an Android app."`
}

// Mail is how letters with codes leave.
type Mail struct {
	SMTP     Text          `yaml:"smtp" doc:"HOST:PORT of the server that takes our mail, usually 587 or 465. Without it nobody can register or reset a password."`
	From     Text          `yaml:"from" doc:"The sender's address."`
	Username string        `yaml:"username" doc:"The name for authentication; none by default."`
	Password secret.String `yaml:"password" doc:"Its password, usually ${env:NAME}."`
	TLS      Text          `yaml:"tls" enum:"starttls,implicit,none" default:"starttls" doc:"starttls demands STARTTLS, implicit speaks TLS from the first byte (port 465), none is for loopback only."`
	CAFile   string        `yaml:"ca_file" path:"true" doc:"PEM file of further certificate authorities for the mail server."`
}
