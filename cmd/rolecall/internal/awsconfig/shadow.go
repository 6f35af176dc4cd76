package awsconfig

import "slices"

// ownCredentials are the settings by which a profile has credentials of its own.
var ownCredentials = []string{
	"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "role_arn", "source_profile", "credential_source",
	"credential_process", "web_identity_token_file", "sso_session", "sso_start_url", "sso_account_id", "sso_role_name", "login_session",
}

// WithoutDefaultCredentials is the text with no credentials in the default
// profile, which the SDKs would take before those of a container; false says that
// there are none.
func (f *File) WithoutDefaultCredentials() ([]byte, bool) {
	e := &edit{parsed: f.parsed, remove: map[int]bool{}}
	for _, s := range f.parsed.sections {
		if s.profile != "default" {
			continue
		}
		for _, o := range s.options {
			for i := o.line; i < o.end && slices.Contains(ownCredentials, o.key); i++ {
				e.remove[i] = true
			}
		}
	}
	return e.text(), len(e.remove) > 0
}
